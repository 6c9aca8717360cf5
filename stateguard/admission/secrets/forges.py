"""Tokens of forges and of package registries, by their documented formats."""

from __future__ import annotations

from stateguard.admission.secrets.rule import ALNUM, HEX, URLSAFE, Rule, token

_WORD = "[A-Za-z0-9_]"

RULES: tuple[Rule, ...] = (
    token("github-token", "a GitHub token", "ghp_", f"{ALNUM}{{36,255}}"),
    token("github-oauth-token", "a GitHub OAuth token", "gho_", f"{ALNUM}{{36,255}}"),
    token("github-app-token", "a GitHub app token", "ghu_ ghs_", f"{_WORD}{{36,255}}"),
    token("github-refresh-token", "a GitHub refresh token", "ghr_", f"{ALNUM}{{36,255}}"),
    token("github-fine-grained-token", "a fine-grained GitHub token", "github_pat_", f"{_WORD}{{60,255}}"),
    token("gitlab-token", "a GitLab access token", "glpat-", r"[\w.-]{20,400}"),
    token("gitlab-deploy-token", "a GitLab deploy token", "gldt-", r"[\w.-]{20,400}"),
    token("gitlab-runner-token", "a GitLab runner token", "glrt- glrtr- GR1348941", r"[\w.-]{20,400}"),
    token("gitlab-trigger-token", "a GitLab trigger token", "glptt-", r"[\w.-]{20,400}"),
    token("gitlab-agent-token", "a GitLab agent token", "glagent-", r"[\w.-]{40,400}"),
    token(
        "gitlab-internal-token",
        "a GitLab token of another kind",
        "glft- glsoat- glcbt- glimt- gloas- glffct- glwt-",
        r"[\w.=-]{20,400}",
    ),
    token("bitbucket-token", "a Bitbucket token", "ATBB", f"{ALNUM}{{32}}(?!{ALNUM})"),
    token("bitbucket-token", "a Bitbucket token", "ATCTT3", r"[\w=-]{100,400}"),
    token("atlassian-token", "an Atlassian API token", "ATATT3", r"[\w=-]{100,400}"),
    token("npm-token", "an npm token", "npm_", f"{ALNUM}{{36}}(?!{_WORD})"),
    token("pypi-token", "a PyPI token", "pypi-AgEIcHlwaS5vcmc pypi-AgENdGVzdC5weXBpLm9yZw", f"{URLSAFE}{{50,1000}}"),
    token("rubygems-token", "a RubyGems key", "rubygems_", f"{HEX}{{48}}(?!{ALNUM})"),
    token("crates-token", "a crates.io token", "cio", f"{ALNUM}{{32}}(?!{_WORD})"),
    token("docker-token", "a Docker Hub token", "dckr_pat_ dckr_oat_", f"{URLSAFE}{{27,60}}"),
    token("nuget-key", "a NuGet key", "oy2", "[a-z0-9]{43}(?![A-Za-z0-9_])"),
)
