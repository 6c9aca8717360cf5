"""What looks like a secret and is none: at least three hundred texts, put together at run time."""

import base64
import hashlib
import random
import uuid

from admission.secrets.specimens import drawn

NAMES = [
    "password", "DB_PASSWORD", "api_key", "OPENAI_API_KEY", "client_secret", "token", "access_token", "private_key",
    "credentials", "SECRET",
]  # fmt: skip
STAND_INS = [
    "${VAR}", "$OPENAI_API_KEY", "{{ api_key }}", "{{ .Values.secret }}", "<your key>", "<token>", "secret://shop/key",
    "env:OPENAI_API_KEY", "op://vault/item/field", "vault:secret/data/shop#key", "changeme", "change-me-please",
    "example",
    "your-api-key-here", "your_token_goes_here_123", "xxxxxxxxxxxxxxxxxxxxxxxx", "****************", "...",
    "dummy-value-1234",
    "redacted", "REDACTED_BY_OPERATOR_1", "%(password)s", "%PASSWORD%", "ENC[AES256_GCM,data:Zm9vYmFy,iv:MTIz]",
    "/run/secrets/db_password", "./secrets/token.txt", "~/.config/shop/token", "https://vault.internal/v1/secret/shop",
    "my-k8s-secret", "shop-db-credentials-v2", "ask-the-operator",
    "arn:aws:secretsmanager:eu-west-1:123:secret:shop-AbCdEf",
    "projects/shop/secrets/db/versions/3", "sha256:" + "ab12" * 16, "null", "true", "4096", "os.environ['KEY']",
    "process.env.API_KEY", "settings.api_key_of_shop2", "get_secret('shop')", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "1234567890", "operator@example.com", "$(cat /run/secrets/token)", "!vault", "not-for-git",
]  # fmt: skip
ORDINARY = [
    "token_limit: 4096", "max_tokens: 200000", "secret_name: my-k8s-secret", "password: ask the operator",
    "tokenizer: cl100k_base", "max_tokens=4096", "token_count: 12345678", "password_min_length: 12",
    "secretName: shop-tls-2024", "secretKeyRef:\n  name: shop\n  key: password", "api_key_env: OPENAI_API_KEY",
    "apiKeyEnvVar: ANTHROPIC_API_KEY_2", "password_file: /etc/shop/password.txt", "tokens_per_minute: 90000",
    "token_url: https://auth.internal/oauth2/v2.0/token", "access_key_rotation: 90d", "credential.helper = store",
    "The password: you get it from the operator who set up 2FA4all.", "token = tokenizer.encode(text)",
    "password = getpass.getpass()", "api_key = config.get('api_key')", "secret = secrets.token_hex(32)",
    "def login(user: str, password: str) -> Token: ...", "if token == expected_token_value:", "key: sk-fading-circle",
    '<div class="sk-fading-circle sk-circle12">', ".sk-cube-grid .sk-cube1 { width: 33%; }",
    "task-force-for-the-2024-review",
    "image: registry.internal/shop@sha256:" + hashlib.sha256(b"x").hexdigest(), "password: hunter",
    "pwd: /srv/shop/build",
    "model: claude-3-5-sonnet-20241022", "embedding: text-embedding-3-large", "region: us-east-1",
    "https://example.org/a?b=c",
    "postgres://app:${DB_PASSWORD}@db/app", "postgres://app:password@localhost/app", "redis://localhost:6379/0",
    "amqp://guest:guest@localhost:5672/", "https://user:pass@example.com/x", "https://<user>:<password>@host/x",
    "mysql://root:root@127.0.0.1/test", "mongodb://user:***@host", "ssh://git@git.internal:22/shop.git",
    "http://localhost:8080/@scope/pkg", "mailto:shop@example.org", "https://git.internal/@ann/shop:1@2",
    "-----BEGIN PUBLIC KEY-----\n" + "MIIB" * 16 + "\n-----END PUBLIC KEY-----",
    "grep -- '-----BEGIN RSA PRIVATE KEY-----' file", "It starts with -----BEGIN PRIVATE KEY----- and has some lines.",
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----", "AKIA" + "IOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/" + "K7MDENG/bPxRfiCYEXAMPLEKEY", "ghp_" + "x" * 36, "sk-" + "x" * 48,
    "sk-ant-api03-" + "x" * 95, "hf_" + "a" * 34, "xoxb-your-token-here-1234567890", "AIza" + "X" * 35,
    "glpat-" + "*" * 20,
    "github_pat_...", "sk-proj-...",
    "Authorization: Bearer ${TOKEN}", 'curl -H "Authorization: Bearer $TOKEN" https://x',
    "--api-key is required", "--token TOKEN", '["--api-key", "${input:key}"]', "npm_config_registry",
    "hf_transfer_enabled",
    "r8_quantisation", "fw_update_firmware_version_check", "key-value-store", "disk-usage-report-for-the-week-of-2024",
    "secret: |\n  see the vault", "password:\n  from: vault", "the passphrase: correct horse battery staple",
    "nextPageToken: Cg0KC2V4" + "YW1wbGUxMjM0NTY3ODkw", "continuation_token=a1B2c3D4e5F6" + "g7H8i9J0k1L2",
    '"pageToken": "a1B2c3D4e5F6' + 'g7H8i9J0"', "password: UserPassword2Input;", "fn(password: UserPassword2, x)",
    "password: minLength=12,maxLength=64", 'password: "minLength=12,maxLength=64"', "password: &adminPassword2024",
    "password: *adminPassword2024", "PASSWORD: *Shop_2", "POSTGRES_PASSWORD: postgres1", "DB_PASSWORD=postgres123",
    "MYSQL_ROOT_PASSWORD=rootpass1", 'ADMIN_PASSWORD="Admin123!"', "REDIS_PASSWORD=redispass", "PASSWORD=apppass12",
    "postgres://app:apppass@db:5432/app", "postgres://postgres:postgres123@localhost/app",
    "redis://:redispass@redis:6379/0", "mysql://root:rootpass1@127.0.0.1:3306/x", "amqp://admin:Admin123!@mq/",
    "postgres://postgres:postgres1@db", "SUPABASE_ANON_KEY=a1B2c3D4e5F6" + "g7H8i9J0k1L2m3",
    'token = r"[-!#$%&*+.^_`|~0-9a-zA-Z]+"',
    "公開鍵とトークン: 秘密の合言葉は運用者に尋ねてください。" * 20,
    "Пароль: спросите администратора, пожалуйста. " * 20,
]  # fmt: skip


def _drawn_alike(source: random.Random) -> list[str]:
    """Return hashes, identifiers, public keys, images and paths."""
    made = []
    for number in range(15):
        content = source.randbytes(48)
        sha = hashlib.sha256(content)
        identity = uuid.UUID(bytes=content[:16], version=4)
        made += [
            f"commit {hashlib.sha1(content, usedforsecurity=False).hexdigest()}\n",
            f"rev: {hashlib.sha1(content, usedforsecurity=False).hexdigest()}  # v1.{number}\n",
            f"{sha.hexdigest()}  shop-{number}.tar.gz\n",
            f'"integrity": "sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}",\n',
            f"FROM python@sha256:{sha.hexdigest()}\n",
            f"id: {identity}\n",
            f"token: {identity}\n",
            f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{drawn('BASE64 43', source)} ann@host\n",
            f"public_key: AAAAC3NzaC1lZDI1NTE5AAAAI{drawn('BASE64 43', source)}\n",
            f"password_hash: {sha.hexdigest()}\n",
            f"![x](data:image/png;base64,{base64.b64encode(source.randbytes(900)).decode()})\n",
            f"-----BEGIN CERTIFICATE-----\n{drawn('BASE64 64', source)}\n{drawn('BASE64 64', source)}\n",
            f"https://cdn.internal/assets/{sha.hexdigest()[:20]}/app.js?v={number}\n",
            f"/var/lib/docker/overlay2/{sha.hexdigest()}/merged\n",
            f"password: pbkdf2_sha256$600000${drawn('ALNUM 22', source)}${drawn('BASE64 43', source)}=\n",
            f"password=pbkdf2:sha256:600000${drawn('ALNUM 16', source)}${sha.hexdigest()}\n",
            f'"password": "scrypt:32768:8:1${drawn("ALNUM 16", source)}${sha.hexdigest()}"\n',
            f"password: $2b$12${drawn('ALNUM 53', source)}\n",
            f"PASSWORD='$argon2id$v=19$m=65536,t=3,p=4${drawn('ALNUM 22', source)}${drawn('ALNUM 43', source)}'\n",
            f"  encryptedData:\n    password: Ag{'AB'[number % 2]}{drawn(f'BASE64 {210 + 40 * number}', source)}==\n",
            f"  encryptedData:\n    api-key: AgB{drawn('BASE64 260', source)}=\n",
            f"anon: {_anonymous(source)}\n",
        ]
    return made


def _anonymous(source: random.Random) -> str:
    """Return the token that a web page shows to everybody."""
    head, claims = (
        base64.urlsafe_b64encode(part).decode().rstrip("=")
        for part in (b'{"alg":"HS256","typ":"JWT"}', b'{"iss":"supabase","ref":"shop","role":"anon","iat":1700000000}')
    )
    return f"{head}.{claims}.{drawn('URLSAFE 43', source)}"


def benign(seed: int = 11) -> list[str]:
    """Return the texts."""
    source = random.Random(seed)
    placed = [
        form.format(name=name, value=value)
        for number, value in enumerate(STAND_INS)
        for name in (NAMES[number % len(NAMES)], NAMES[(number + 3) % len(NAMES)])
        for form in ("{name}: {value}\n", '{{"{name}": "{value}"}}\n', "export {name}={value}\n")
    ]
    return [*placed, *ORDINARY, *_drawn_alike(source)]
