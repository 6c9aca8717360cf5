"""Every rule there is, those that know a format before those that go by the name of a setting."""

from __future__ import annotations

from stateguard.admission.secrets import assigned, clouds, forges, keys, models, services
from stateguard.admission.secrets.rule import Rule

RULES: tuple[Rule, ...] = (
    *clouds.RULES,
    *forges.RULES,
    *models.RULES,
    *services.RULES,
    *keys.RULES,
    *assigned.RULES,
)
"""Where two rules claim the same bytes, the one that stands first here has them."""
