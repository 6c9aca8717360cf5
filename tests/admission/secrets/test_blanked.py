import random

import pytest
from hypothesis import given, strategies as st

from admission.secrets.benign import ORDINARY
from admission.secrets.specimens import ARMOURED, Specimen, armour, drawn, specimens
from stateguard.admission.secrets.scan import blanked, in_text

TOKEN = "gh" + "p_" + drawn("ALNUM 36", random.Random(5))
CLIPPED = 57
PUBLIC = ("IncomingWebhook", "@db.internal", "@mq.internal", "@git.internal", "@cluster0", "@cache", "@10.0")
MESSAGES = [
    'environment must be a mapping, not "{}"',
    "environment must be a mapping, not '{}' (2 lines)",
    "config.yaml: 3: {} is no number; write one",
]


def survives(specimen: Specimen, told: str) -> list[str]:
    secret = specimen.value[len(specimen.fixed) :]
    for public in PUBLIC:
        secret = secret.partition(public)[0]
    return [secret[n : n + 8] for n in range(len(secret) - 7) if secret[n : n + 8] in told]


def clips(specimen: Specimen) -> list[str]:
    whole = f"{specimen.name}={specimen.value}"
    shown = [whole, f"{specimen.name}: {specimen.value}"]
    for ellipsis in ("…", "..."):
        for length in (CLIPPED, CLIPPED + 3):
            if len(specimen.value) > length:
                shown.append(f"{specimen.name}={specimen.value[:length]}{ellipsis}")
            if len(whole) > length:
                shown.append(whole[:length] + ellipsis)
    if not specimen.by_name and not specimen.value[0].isupper():
        shown.append(f"a{specimen.value}")
    return shown if specimen.by_name or not specimen.fixed else [*shown, specimen.value, specimen.value[:CLIPPED] + "…"]


@pytest.mark.parametrize("message", MESSAGES)
def test_no_message_has_a_secret_in_it(message: str) -> None:
    left = [
        (specimen.kind, told, survives(specimen, told)[:1])
        for specimen in specimens(4)
        for shown in clips(specimen)
        if survives(specimen, told := blanked(message.format(shown)))
    ]
    assert left == []


@pytest.mark.parametrize(
    "text", ['"GITHUB_TOKEN={}"', "curl -H {}", "https://u:{}@host/x", "my_{}", "xx{}", "/{}", "\\n{}", "é{}é", "{}…"]
)
def test_nothing_of_a_token_is_left_wherever_it_stands(text: str) -> None:
    assert blanked(text.format(TOKEN)) == text.format("(withheld)")


def test_every_one_of_many_is_withheld() -> None:
    assert blanked(f"{TOKEN} {TOKEN}, {TOKEN} # stateguard:allow") == (
        "(withheld) (withheld), (withheld) # stateguard:allow"
    )


@pytest.mark.parametrize("label", sorted(ARMOURED))
def test_a_key_is_withheld_with_its_lines(label: str) -> None:
    key = armour(label, random.Random(3), "Version: 1\n\n" if "PGP" in label else "")
    assert blanked(f"not this: {key}, says it") == "not this: (withheld)\n, says it"
    assert blanked(f"not this: {key[:300]}…") == "not this: (withheld)"


def test_messages_without_secrets_stay() -> None:
    texts = [
        *ORDINARY,
        "agents/shop/config.yaml: 3: retries must be a number, not 'many'; write a whole number from 0",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b was refused: refs/heads/main is protected",
        "secret://shop/key is not known; add it with stateguard secrets set shop/key",
        "the token of agent shop-2024 has expired; ask for another one",
    ]
    changed = [(text[:90], blanked(text)[:90]) for text in texts if blanked(text) != text]
    assert len(changed) <= 20, changed


@given(st.text(max_size=80))
def test_any_text_can_be_blanked(text: str) -> None:
    assert isinstance(blanked(text), str)


@given(st.lists(st.sampled_from([*specimens(1)]), min_size=1, max_size=4), st.text(max_size=4))
def test_what_is_blanked_has_no_secrets(chosen: list[Specimen], between: str) -> None:
    text = f"{between}\n".join(f"{specimen.name}={specimen.value}" for specimen in chosen)
    assert in_text(blanked(text)) == []


def test_a_password_of_letters_alone_is_withheld() -> None:
    value = "bOVhaBNt" + "ViHRWTxb"
    assert blanked(f"a.yaml: 3: DB_PASSWORD: {value} is no number") == "a.yaml: 3: DB_PASSWORD: (withheld) is no number"


def test_lone_surrogates_stay() -> None:
    assert blanked(f"\udcff {TOKEN}") == "\udcff (withheld)"
