"""Made-up secrets of every kind, put together at run time: no file of the repository has a whole one."""

import random
import string
from collections.abc import Callable
from dataclasses import dataclass

ALNUM = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits
UPPER = string.ascii_uppercase + string.digits
HEX = "0123456789abcdef"
URLSAFE = ALNUM + "-_"
BASE64 = ALNUM + "+/"
_UUID = "HEX 8,-,HEX 4,-,HEX 4,-,HEX 4,-,HEX 12"
BECH32 = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"


@dataclass(frozen=True)
class Specimen:
    kind: str
    name: str
    """What a setting that holds it is called."""
    value: str
    by_name: bool = False
    """It is known only by the name of its setting."""
    fixed: str = ""
    """What every such value begins with: public, as the name of the issuer."""


# Prefixes are split by a blank; alphabets and lengths as documented; any other part stands as it is.
PREFIXED: dict[str, list[tuple[str, str]]] = {
    "aws-access-key-id": [("AK IA", "UPPER 16"), ("AS IA", "UPPER 16")],
    "aws-bedrock-key": [("AB SK", "BASE64 128")],
    "google-api-key": [("AI za", "URLSAFE 35")],
    "google-oauth-secret": [("GOC SPX-", "URLSAFE 28")],
    "google-oauth-token": [("ya 29.", "URLSAFE 160"), ("1/ /0", "URLSAFE 60")],
    "azure-storage-key": [("Account Key=", "BASE64 86,==")],
    "azure-sas": [
        ("https://shop.blob.core.windows .net/c?sv=2022-11-02&se=2030-01-01T00%3A00Z&sr=c&sp=rl&sig=", "BASE64 43,%3D"),
    ],
    "azure-shared-key": [("SharedAccess Key=", "BASE64 43,=")],
    "azure-client-secret": [("", "ALNUM 3,8Q,~,ALNUM 34")],
    "azure-devops-token": [("", "ALNUM 76,AZ,DO,ALNUM 4")],
    "digitalocean-token": [("dop _v1_", "HEX 64"), ("dor _v1_", "HEX 64")],
    "heroku-key": [("HR KU-", "URLSAFE 60")],
    "cloudflare-origin-key": [("v1 .0-", "HEX 24,-,HEX 146")],
    "databricks-token": [("da pi", "HEX 32"), ("da pi", "HEX 32,-2")],
    "terraform-token": [("", "ALNUM 14,.atlas,v1.,ALNUM 67")],
    "vault-token": [("hv s.", "ALNUM 24"), ("hv b.", "URLSAFE 130")],
    "doppler-token": [("dp .pt.", "ALNUM 43"), ("dp .st.prd.", "ALNUM 43")],
    "grafana-token": [("gl sa_", "ALNUM 32,_,HEX 8"), ("gl c_", "ALNUM 90")],
    "newrelic-key": [("NR AK-", "UPPER 27"), ("", "HEX 36,NR,AL")],
    "supabase-key": [("sb p_", "HEX 40"), ("sb _secret_", "URLSAFE 31")],
    "planetscale-token": [("pscale _tkn_", "URLSAFE 43")],
    "pulumi-token": [("pu l-", "HEX 40")],
    "flyio-token": [("fm 2_", "BASE64 200")],
    "netlify-token": [("nf p_", "ALNUM 36")],
    "sentry-token": [("snt rys_", "BASE64 120"), ("snt ryu_", "HEX 64")],
    "onepassword-token": [("ops _eyJ", "URLSAFE 300")],
    "age-secret-key": [("AGE-SECRET -KEY-1", "BECH32 58")],
    "github-token": [("gh p_", "ALNUM 36")],
    "github-oauth-token": [("gh o_", "ALNUM 36")],
    "github-app-token": [("gh u_", "ALNUM 36"), ("gh s_", "ALNUM 36")],
    "github-refresh-token": [("gh r_", "ALNUM 76")],
    "github-fine-grained-token": [("github _pat_", "ALNUM 22,_,ALNUM 59")],
    "gitlab-token": [("gl pat-", "URLSAFE 20"), ("gl pat-", "URLSAFE 27,.01.,LOWER 9")],
    "gitlab-deploy-token": [("gl dt-", "URLSAFE 20")],
    "gitlab-runner-token": [("gl rt-", "URLSAFE 20"), ("GR 1348941", "URLSAFE 20")],
    "gitlab-trigger-token": [("gl ptt-", "HEX 40")],
    "gitlab-agent-token": [("gl agent-", "URLSAFE 50")],
    "gitlab-internal-token": [("gl ft-", "URLSAFE 20"), ("gl soat-", "URLSAFE 20"), ("gl cbt-", "URLSAFE 22")],
    "bitbucket-token": [("AT BB", "ALNUM 32")],
    "atlassian-token": [("AT ATT3xFfGF0", "URLSAFE 171,=,HEX 8")],
    "npm-token": [("np m_", "ALNUM 36")],
    "pypi-token": [("py pi-AgEIcHlwaS5vcmc", "URLSAFE 140")],
    "rubygems-token": [("ruby gems_", "HEX 48")],
    "crates-token": [("ci o", "ALNUM 32")],
    "docker-token": [("dckr _pat_", "URLSAFE 27")],
    "nuget-key": [("oy 2", "LOWER 43")],
    "anthropic-key": [("sk- ant-api03-", "URLSAFE 93,AA"), ("sk- ant-admin01-", "URLSAFE 93,AA")],
    "openrouter-key": [("sk- or-v1-", "HEX 64")],
    "langfuse-key": [("sk- lf-", "HEX 8,-,HEX 4,-,HEX 4,-,HEX 4,-,HEX 12")],
    "openai-project-key": [
        ("sk- proj-", "URLSAFE 156"),
        ("sk- svcacct-", "URLSAFE 120"),
        ("sk- admin-", "URLSAFE 120"),
    ],
    "openai-key": [("sk -", "ALNUM 20,T3Blbk,FJ,ALNUM 20"), ("sk -", "ALNUM 48")],
    "llm-key": [("sk -", "HEX 32")],
    "groq-key": [("gs k_", "ALNUM 52")],
    "xai-key": [("xa i-", "ALNUM 80")],
    "perplexity-key": [("pp lx-", "ALNUM 48")],
    "replicate-token": [("r8 _", "ALNUM 37")],
    "huggingface-token": [("hf _", "ALNUM 34"), ("api _org_", "ALNUM 34")],
    "langsmith-key": [("lsv2 _pt_", "HEX 32,_,HEX 10"), ("ls __", "HEX 32")],
    "tavily-key": [("tv ly-", "ALNUM 32"), ("tv ly-dev-", "ALNUM 32")],
    "pinecone-key": [("pc sk_", "ALNUM 6,_,ALNUM 63")],
    "fireworks-key": [("fw _", "ALNUM 24")],
    "elevenlabs-key": [("sk _", "HEX 48")],
    "nvidia-key": [("nv api-", "URLSAFE 64")],
    "cerebras-key": [("cs k-", "LOWER 48")],
    "together-key": [("tgp _v1_", "URLSAFE 43")],
    "jina-key": [("ji na_", "ALNUM 60")],
    "e2b-key": [("e2 b_", "HEX 40")],
    "firecrawl-key": [("f c-", "HEX 32")],
    "brave-key": [("BS A", "ALNUM 28")],
    "linear-key": [("lin _api_", "ALNUM 40")],
    "notion-token": [("nt n_", "ALNUM 46"), ("secret _", "ALNUM 43")],
    "airtable-token": [("", "pat,ALNUM 14,.,HEX 64")],
    "figma-token": [("fig d_", "URLSAFE 43")],
    "postman-key": [("PM AK-", "HEX 24,-,HEX 34")],
    "slack-app-token": [("xa pp-1-", "A,UPPER 10,-,DIGITS 13,-,HEX 64")],
    "slack-token": [("xo xb-", "DIGITS 12,-,DIGITS 13,-,ALNUM 24"), ("xo xp-", "DIGITS 12,-,DIGITS 12,-,HEX 32")],
    "slack-webhook": [("https://hooks.slack .com/services/T", "UPPER 10,/B,UPPER 10,/,ALNUM 24")],
    "discord-bot-token": [("", "M,T,ALNUM 22,.G,ALNUM 5,.,URLSAFE 38")],
    "discord-webhook": [("https://discord .com/api/webhooks/", "DIGITS 19,/,URLSAFE 68")],
    "teams-webhook": [
        ("https://x.webhook.office .com/webhookb2/", f"{_UUID},@,{_UUID},/IncomingWebhook/,HEX 32,/,{_UUID}"),
    ],
    "telegram-bot-token": [("", "DIGITS 10,:A,A,URLSAFE 33")],
    "twilio-key": [("S K", "HEX 32")],
    "sendgrid-key": [("S G.", "URLSAFE 22,.,URLSAFE 43")],
    "mailgun-key": [("ke y-", "HEX 32")],
    "mailchimp-key": [("", "HEX 32,-us,DIGITS 2")],
    "stripe-key": [("sk _live_", "ALNUM 24"), ("sk _test_", "ALNUM 99")],
    "stripe-restricted-key": [("rk _live_", "ALNUM 99")],
    "stripe-webhook-secret": [("wh sec_", "ALNUM 32")],
    "square-token": [("sq0 atp-", "URLSAFE 22"), ("EA AA", "URLSAFE 60")],
    "braintree-token": [("access_token $production$", "LOWER 16,$,HEX 32")],
    "shopify-token": [("shp at_", "HEX 32"), ("shp ss_", "HEX 32")],
    "jwt": [("ey J", "ALNUM 33,.ey,J,URLSAFE 80,.,URLSAFE 43")],
    "database-url": [
        ("postgres ql://app:", "ALNUM 20,@db.internal:5432/app"),
        ("mongodb+srv ://app:", "ALNUM 16,@cluster0.abcde.mongodb.net/x"),
        ("redis ://:", "HEX 32,@cache:6379/0"),
        ("mysql+pymysql ://shop:", "ALNUM 14,@10.0.0.5/shop"),
    ],
    "broker-url": [("amqps ://agents:", "ALNUM 18,@mq.internal/agents")],
    "url-password": [("https ://deploy:", "ALNUM 20,@git.internal/agents.git")],
}

# Known by the name that stands before them.
NAMED: list[tuple[str, str, str]] = [
    ("aws-secret-key", "AWS_SECRET_ACCESS_KEY", "BASE64 40"),
    ("heroku-key", "HEROKU_API_KEY", "HEX 8,-,HEX 4,-,HEX 4,-,HEX 4,-,HEX 12"),
    ("cloudflare-token", "CLOUDFLARE_API_TOKEN", "URLSAFE 40"),
    ("datadog-key", "DD_API_KEY", "HEX 32"),
    ("twilio-auth-token", "TWILIO_AUTH_TOKEN", "HEX 32"),
    ("mailgun-key", "MAILGUN_SIGNING_KEY", "HEX 32,-,HEX 8,-,HEX 8"),
    ("paypal-secret", "PAYPAL_CLIENT_SECRET", "E,URLSAFE 79"),
    ("assigned-secret", "SEARCH_API_KEY", "ALNUM 32"),
    ("assigned-secret", "MISTRAL_API_KEY", "LOWER 32"),
    ("assigned-secret", "client_secret", "URLSAFE 43"),
    ("assigned-secret", "SESSION_SECRET", "HEX 64"),
    ("assigned-secret", "accessToken", "BASE64 43,="),
    ("assigned-secret", "WEBHOOK_TOKEN", "HEX 40"),
    ("assigned-secret", "AZURE_OPENAI_KEY", "HEX 32"),
    ("assigned-secret", "OPENWEATHER_KEY", "HEX 32"),
    ("assigned-password", "DB_PASSWORD", "ALNUM 16"),
    ("assigned-password", "SHOP_PASSWORD", "Winter-,DIGITS 4,-deploy"),
    ("assigned-password", "PGPASSWORD", "ALNUM 7,!,ALNUM 4,&,7aB"),
    ("assigned-password", "smtp_passwd", "Tr0ub,DIGITS 2,dor#,DIGITS 1"),
]

_ALPHABETS = {
    "ALNUM": ALNUM, "LOWER": LOWER, "UPPER": UPPER, "HEX": HEX, "URLSAFE": URLSAFE, "BASE64": BASE64, "BECH32": BECH32,
    "DIGITS": "123456789",
}  # fmt: skip


def drawn(parts: str, source: random.Random) -> str:
    """Put a value together: ``HEX 32`` draws 32 characters, any other part stands as it is."""
    made = []
    for part in parts.split(","):
        alphabet, _, length = part.partition(" ")
        if alphabet in _ALPHABETS and length:
            text = "".join(source.choice(_ALPHABETS[alphabet]) for _ in range(int(length)))
            made.append(ALNUM[source.randrange(52)] + text[1:] if alphabet in {"URLSAFE", "BASE64"} else text)
        else:
            made.append(part)
    return "".join(made)


def pieces(specimen: Specimen) -> set[str]:
    """Return every six characters of what is secret in a value."""
    secret = specimen.value[len(specimen.fixed) :].replace("IncomingWebhook", "").partition("@db.internal")[0]
    secret = secret.partition("@mq.internal")[0].partition("@git.internal")[0]
    return {secret[n : n + 6] for n in range(len(secret) - 5)}


def specimens(samples: int, seed: int = 7) -> list[Specimen]:
    """Return so many samples of each form of each kind."""
    source = random.Random(seed)
    made = [
        Specimen(
            kind,
            kind.upper().replace("-", "_"),
            prefix.replace(" ", "") + drawn(parts, source),
            fixed=prefix.replace(" ", ""),
        )
        for kind, forms in PREFIXED.items()
        for prefix, parts in forms
        for _ in range(samples)
    ]
    made += [Specimen(kind, name, drawn(parts, source), by_name=True) for kind, name, parts in NAMED * samples]
    return made


def armour(label: str, source: random.Random, headers: str = "") -> str:
    """Return a key in armour, with made-up material of some lines."""
    dashes = "-" * 5
    lines = [drawn("BASE64 64", source) for _ in range(6)]
    return "\n".join(
        [f"{dashes}BEGIN {label}{dashes}", *headers.splitlines(), *lines, f"{dashes}END {label}{dashes}", ""]
    )


ARMOURED = {
    "PRIVATE KEY": "private-key",
    "RSA PRIVATE KEY": "private-key",
    "EC PRIVATE KEY": "private-key",
    "DSA PRIVATE KEY": "private-key",
    "ENCRYPTED PRIVATE KEY": "private-key",
    "OPENSSH PRIVATE KEY": "openssh-private-key",
    "PGP PRIVATE KEY BLOCK": "pgp-private-key",
}

Surrounding = Callable[[Specimen], str]


def _mcp(specimen: Specimen) -> str:
    return (
        '{\n  "mcpServers": {\n    "search": {\n      "command": "npx",\n      "args": ["-y", "server-search"],\n'
        f'      "env": {{"{specimen.name}": "{specimen.value}"}}\n    }}\n  }}\n}}\n'
    )


SURROUNDINGS: dict[str, Surrounding] = {
    "yaml": lambda s: f"model: small\n{s.name.lower() if s.name.isupper() else s.name}: {s.value}\nretries: 3\n",
    "yaml list": lambda s: f"env:\n  - name: A\n    value: b\n  - {s.name}: '{s.value}'  # of the shop\n",
    "pair": lambda s: f'env:\n  - name: {s.name}\n    value: "{s.value}"\n  - name: B\n    value: c\n',
    "json pair": lambda s: f'{{"env": [{{"name": "{s.name}", "value": "{s.value}"}}]}}',
    "json": lambda s: f'{{"model": "small", "{s.name}": "{s.value}", "retries": 3}}',
    "env": lambda s: f"# settings\n{s.name}={s.value}\nRETRIES=3\n",
    "python": lambda s: f'import shop\n\n{s.name} = "{s.value}"\nshop.run({s.name})\n',
    "prose": lambda s: (
        f"Call it with {s.name}={s.value} and wait.\n"
        if s.by_name
        else f"# Notes\n\nThe agent calls it with `{s.value}`, says *the operator*.\n"
    ),
    "mcp": _mcp,
    "export": lambda s: f'#!/bin/sh\nset -eu\nexport {s.name}="{s.value}"\nexec agent\n',
    "windows": lambda s: f"[agent]\r\n{s.name} = {s.value}\r\nretries = 3\r\n",
}
