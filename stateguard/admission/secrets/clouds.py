"""Secrets of clouds and of what runs on them, by their documented formats."""

from __future__ import annotations

import re

from stateguard.admission.secrets.rule import (
    ALNUM,
    BASE64,
    HEX,
    URLSAFE,
    UUID,
    Rule,
    assigned,
    inside,
    is_not_placeholder,
    token,
)

_AWS_SECRET = Rule(
    "aws-secret-key",
    "an AWS secret access key",
    (b"secret",),
    re.compile(
        rb"(?i:(?:(?<=aws)|(?<=aws[_.-]))secret[_ -]?(?:access[_ -]?)?key|secret[_ -]?access[_ -]?key)"
        rb"[\"'\]]{0,2}[ \t]{0,8}(?:=>|:=|=|:|>)[ \t]{0,8}\\?[\"'`]?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
    ),
    folded=True,
)

_URL_BYTES = 600
_IN_URL = re.compile(rb"[^\s\"'<>`]{0,600}")
_VERSION_OR_END = re.compile(rb"[?&;](?:amp;)?s[ev]=[0-9]{4}")


def _is_of_address(match: re.Match[bytes]) -> bool:
    """Say whether a signature is that of an address which Azure shares: with a version or an end before it or after."""
    before = match.string[max(0, match.start() - _URL_BYTES) : match.start()]
    url = re.split(rb"[\s\"'<>`]", before)[-1]
    behind = _IN_URL.match(match.string, match.end())
    around = url + b" " + (behind.group() if behind else b"")
    return is_not_placeholder(match) and _VERSION_OR_END.search(around) is not None


_AZURE_SHARED = Rule(
    "azure-sas",
    "an Azure shared access signature",
    (b"sig=",),
    re.compile(rb"(?<=[?&;])sig=((?:[A-Za-z0-9/+_-]|%[0-9A-Fa-f]{2}){40,90}+=?)"),
    folded=True,
    accepts=_is_of_address,
)

RULES: tuple[Rule, ...] = (
    token("aws-access-key-id", "an AWS access key id", "AKIA ASIA ABIA ACCA", "[A-Z0-9]{16}(?![A-Za-z0-9_])"),
    _AWS_SECRET,
    _AZURE_SHARED,
    token("aws-bedrock-key", "an Amazon Bedrock API key", "ABSK", f"{BASE64}{{96,300}}={{0,2}}"),
    token("google-api-key", "a Google API key", "AIza", f"{URLSAFE}{{35}}(?!{URLSAFE})"),
    token("google-oauth-secret", "a Google OAuth client secret", "GOCSPX-", f"{URLSAFE}{{28}}(?!{URLSAFE})"),
    token("google-oauth-token", "a Google OAuth token", "ya29.", f"{URLSAFE}{{20,1000}}"),
    token("google-oauth-token", "a Google OAuth token", "1//0", f"{URLSAFE}{{40,200}}"),
    inside("azure-storage-key", "an Azure storage key", "AccountKey=", 0, f"AccountKey=({BASE64}{{86}}==)"),
    inside("azure-shared-key", "an Azure shared access key", "AccessKey=", 6, f"SharedAccessKey=({BASE64}{{43}}=)"),
    inside(
        "azure-client-secret",
        "an Azure client secret",
        "Q~",
        5,
        r"(?<![\w~.-])([\w~.-]{3}[0-9]Q~[\w~.-]{31,34})(?![\w~-])",
    ),
    inside("azure-devops-token", "an Azure DevOps token", "AZDO", 77, f"(?<!{ALNUM})({ALNUM}{{76}}AZDO{ALNUM}{{4}})"),
    token("digitalocean-token", "a DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", f"{HEX}{{64}}"),
    token("heroku-key", "a Heroku API key", "HRKU-", f"{URLSAFE}{{36,80}}"),
    assigned("heroku-key", "a Heroku API key", "heroku", UUID),
    inside("cloudflare-origin-key", "a Cloudflare origin CA key", "v1.0-", 0, f"v1\\.0-{HEX}{{24}}-{HEX}{{100,200}}"),
    assigned(
        "cloudflare-token", "a Cloudflare API token", "cloudflare cf_api cf_token", f"{URLSAFE}{{40}}|{HEX}{{37}}"
    ),
    token("databricks-token", "a Databricks token", "dapi", f"{HEX}{{32}}(?:-[0-9]{{1,2}})?(?!{ALNUM})"),
    inside(
        "terraform-token",
        "a Terraform Cloud token",
        ".atlasv1.",
        15,
        f"(?<!{ALNUM})({ALNUM}{{14}}\\.atlasv1\\.{URLSAFE}{{60,75}})",
    ),
    token("vault-token", "a Vault token", "hvs. hvb. hvr.", f"{URLSAFE}{{24,400}}"),
    token(
        "doppler-token",
        "a Doppler token",
        "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.",
        f"(?:[a-z0-9_-]{{2,35}}\\.)?{ALNUM}{{40,44}}(?!{ALNUM})",
    ),
    token("grafana-token", "a Grafana token", "glsa_", f"{ALNUM}{{32}}_[0-9A-Fa-f]{{8}}"),
    token("grafana-token", "a Grafana token", "glc_", f"{BASE64}{{32,400}}={{0,2}}"),
    token("newrelic-key", "a New Relic key", "NRAK- NRII-", "[A-Za-z0-9_-]{27,40}"),
    inside("newrelic-key", "a New Relic key", "NRAL", 37, f"(?<!{ALNUM})({HEX}{{36}}NRAL)(?!{ALNUM})"),
    assigned("datadog-key", "a Datadog key", "datadog dd_api dd_app", f"{HEX}{{40}}|{HEX}{{32}}"),
    token("supabase-key", "a Supabase key", "sbp_", f"{HEX}{{40}}(?!{ALNUM})"),
    token("supabase-key", "a Supabase key", "sb_secret_", f"{URLSAFE}{{20,60}}"),
    token("planetscale-token", "a PlanetScale token", "pscale_tkn_ pscale_pw_ pscale_oauth_", r"[\w.=-]{32,64}"),
    token("pulumi-token", "a Pulumi token", "pul-", f"{HEX}{{40}}(?!{ALNUM})"),
    token("flyio-token", "a Fly.io token", "fo1_ fm1r_ fm2_", f"{BASE64[:-1]}_-]{{40,2000}}"),
    token("netlify-token", "a Netlify token", "nfp_", f"{ALNUM}{{36,64}}"),
    token("sentry-token", "a Sentry token", "sntrys_ sntryu_", "[A-Za-z0-9_+/=]{60,600}"),
    token("onepassword-token", "a 1Password service account token", "ops_eyJ", "[A-Za-z0-9+/_-]{150,2000}"),
    token(
        "age-secret-key", "an age secret key", "AGE-SECRET-KEY-1", "[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}(?![A-Z0-9])"
    ),
)
