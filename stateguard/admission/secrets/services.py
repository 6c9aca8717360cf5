"""Secrets of messaging and of payment, by their documented formats."""

from __future__ import annotations

from stateguard.admission.secrets.rule import ALNUM, HEX, URLSAFE, Rule, assigned, inside, shaped, token

RULES: tuple[Rule, ...] = (
    token("slack-app-token", "a Slack app token", "xapp-", f"[0-9]-[A-Z0-9]{{8,14}}-[0-9]{{8,16}}-{HEX}{{40,80}}"),
    token(
        "slack-token",
        "a Slack token",
        "xoxb- xoxp- xoxa- xoxr- xoxs- xoxo- xoxc- xoxd- xoxe- xoxe.xoxp- xoxe.xoxb-",
        "[A-Za-z0-9-]{24,260}",
    ),
    inside(
        "slack-webhook",
        "a Slack webhook",
        "hooks.slack.com/",
        0,
        r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Z0-9]{6,14}/[A-Z0-9]{6,20}/[A-Za-z0-9/]{18,60})",
    ),
    # The first part is a number in Base64, and a digit begins with M, N or O there.
    shaped(
        "discord-bot-token",
        "a Discord bot token",
        f"(?<![A-Za-z0-9_.-])([MNO]{URLSAFE}{{23,27}}\\.{URLSAFE}{{6}}\\.{URLSAFE}{{27,40}})(?!{URLSAFE})",
    ),
    inside(
        "discord-webhook",
        "a Discord webhook",
        "/webhooks/",
        8,
        f"/api(?:/v[0-9]{{1,2}})?/webhooks/([0-9]{{17,20}}/{URLSAFE}{{60,80}})",
    ),
    inside(
        "teams-webhook",
        "a Microsoft Teams webhook",
        ".office.com/webhookb2/",
        1,
        r"\.office\.com/webhookb2/([0-9a-f@-]{60,80}/IncomingWebhook/[0-9a-f]{32}/[0-9a-f-]{36})",
    ),
    inside(
        "telegram-bot-token",
        "a Telegram bot token",
        ":AA",
        11,
        f"(?<![0-9A-Za-z])([0-9]{{8,10}}:AA{URLSAFE}{{32,33}})(?!{URLSAFE})",
    ),
    token("twilio-key", "a Twilio API key", "SK", f"{HEX}{{32}}(?![A-Za-z0-9_])"),
    assigned("twilio-auth-token", "a Twilio auth token", "twilio", f"{HEX}{{32}}"),
    token("sendgrid-key", "a SendGrid key", "SG.", f"{URLSAFE}{{22}}\\.{URLSAFE}{{43}}(?!{URLSAFE})"),
    token("mailgun-key", "a Mailgun key", "key-", f"{HEX}{{32}}(?![A-Za-z0-9-])"),
    assigned("mailgun-key", "a Mailgun key", "mailgun", f"{HEX}{{32}}-{HEX}{{8}}-{HEX}{{8}}"),
    inside("mailchimp-key", "a Mailchimp key", "-us", 33, f"(?<!{ALNUM})({HEX}{{32}}-us[0-9]{{1,2}})(?![A-Za-z0-9_-])"),
    token("stripe-key", "a Stripe secret key", "sk_live_ sk_test_", f"{ALNUM}{{24,247}}"),
    token("stripe-restricted-key", "a Stripe restricted key", "rk_live_ rk_test_", f"{ALNUM}{{24,247}}"),
    token("stripe-webhook-secret", "a Stripe webhook secret", "whsec_", "[A-Za-z0-9+/]{32,64}"),
    token("square-token", "a Square token", "sq0atp-", f"{URLSAFE}{{22}}(?!{URLSAFE})"),
    token("square-token", "a Square token", "sq0csp-", f"{URLSAFE}{{43}}(?!{URLSAFE})"),
    token("square-token", "a Square token", "EAAA", f"{URLSAFE}{{60}}(?!{URLSAFE})"),
    token(
        "braintree-token",
        "a Braintree access token",
        "access_token$production$ access_token$sandbox$",
        f"[0-9a-z]{{16}}\\${HEX}{{32}}",
    ),
    assigned("paypal-secret", "a PayPal client secret", "paypal", f"E{URLSAFE}{{79}}"),
    token("shopify-token", "a Shopify token", "shpat_ shpca_ shppa_ shpss_", f"[0-9A-Fa-f]{{32}}(?!{ALNUM})"),
)
