"""Keys of providers of language models and of the services around agents, by their documented formats."""

from __future__ import annotations

import re

from stateguard.admission.secrets.rule import (
    ALNUM,
    HEX,
    URLSAFE,
    UUID,
    Rule,
    is_not_placeholder,
    shaped,
    token,
    value_of,
)
from stateguard.admission.secrets.values import is_random


def _is_random_too(match: re.Match[bytes]) -> bool:
    """Say whether the value of a short prefix, which names in programs have too, is random."""
    return is_not_placeholder(match) and is_random(value_of(match))


RULES: tuple[Rule, ...] = (
    token("anthropic-key", "an Anthropic key", "sk-ant-", f"[a-z]{{2,8}}[0-9]{{2}}-{URLSAFE}{{80,130}}"),
    token("openrouter-key", "an OpenRouter key", "sk-or-v1-", f"{HEX}{{64}}(?!{ALNUM})"),
    token("langfuse-key", "a Langfuse secret key", "sk-lf-", f"{UUID}(?!{ALNUM})"),
    token(
        "openai-project-key", "an OpenAI project key", "sk-proj- sk-svcacct- sk-admin- sk-None-", f"{URLSAFE}{{40,200}}"
    ),
    token("openai-key", "an OpenAI key", "sk-", f"(?:{ALNUM}{{20}}T3BlbkFJ{ALNUM}{{20}}|{ALNUM}{{48}})(?!{URLSAFE})"),
    token("llm-key", "a key of a provider of language models", "sk-", f"{HEX}{{32}}(?!{URLSAFE})"),
    token("groq-key", "a Groq key", "gsk_", f"{ALNUM}{{48,56}}(?!{ALNUM})"),
    token("xai-key", "an xAI key", "xai-", f"{ALNUM}{{70,90}}(?!{ALNUM})"),
    token("perplexity-key", "a Perplexity key", "pplx-", f"{ALNUM}{{40,64}}(?!{ALNUM})"),
    token("replicate-token", "a Replicate token", "r8_", f"{ALNUM}{{37}}(?!{ALNUM})"),
    token("huggingface-token", "a Hugging Face token", "hf_ api_org_", f"{ALNUM}{{34}}(?![A-Za-z0-9_])"),
    token("langsmith-key", "a LangSmith key", "lsv2_pt_ lsv2_sk_", f"{HEX}{{32}}_{HEX}{{10}}"),
    token("langsmith-key", "a LangSmith key", "ls__", f"{HEX}{{32}}(?!{ALNUM})"),
    token("tavily-key", "a Tavily key", "tvly-", f"(?:dev-|prod-)?{URLSAFE}{{28,60}}"),
    token("pinecone-key", "a Pinecone key", "pcsk_", f"{ALNUM}{{5,7}}_{ALNUM}{{50,70}}"),
    token("fireworks-key", "a Fireworks key", "fw_", f"{ALNUM}{{22,40}}(?![A-Za-z0-9_])", accepts=_is_random_too),
    token("elevenlabs-key", "an ElevenLabs key", "sk_", f"{HEX}{{48}}(?!{ALNUM})"),
    token("nvidia-key", "an NVIDIA API key", "nvapi-", f"{URLSAFE}{{60,70}}"),
    token("cerebras-key", "a Cerebras key", "csk-", "[a-z0-9]{48}(?![A-Za-z0-9_])"),
    token("together-key", "a Together key", "tgp_v1_", f"{URLSAFE}{{43}}(?!{URLSAFE})"),
    token("jina-key", "a Jina key", "jina_", f"{URLSAFE}{{50,70}}"),
    token("e2b-key", "an E2B key", "e2b_", f"{HEX}{{40}}(?!{ALNUM})"),
    token("firecrawl-key", "a Firecrawl key", "fc-", f"{HEX}{{32}}(?![A-Za-z0-9-])"),
    token("brave-key", "a Brave Search key", "BSA", f"{URLSAFE}{{28}}(?!{URLSAFE})", accepts=_is_random_too),
    token("linear-key", "a Linear key", "lin_api_ lin_oauth_", f"{ALNUM}{{32,64}}"),
    token("notion-token", "a Notion token", "ntn_", f"{ALNUM}{{40,50}}(?!{ALNUM})"),
    token("notion-token", "a Notion token", "secret_", f"{ALNUM}{{43}}(?![A-Za-z0-9_])", accepts=_is_random_too),
    shaped("airtable-token", "an Airtable token", f"(?<!{ALNUM})(pat{ALNUM}{{14}}\\.{HEX}{{64}})(?!{ALNUM})"),
    token("figma-token", "a Figma token", "figd_", f"{URLSAFE}{{40,50}}"),
    token("postman-key", "a Postman key", "PMAK-", f"{HEX}{{24}}-{HEX}{{34}}"),
)
