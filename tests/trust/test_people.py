from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from gpghome import GpgHome, gpg_home
from stateguard.config.problem import InvalidDocument
from stateguard.errors import NotFoundError, RefusedError, StateguardError, TrustError, UsageProblemError
from stateguard.model.trust import GPG, Key, Lock, Role, Trust, is_person_name
from stateguard.trust import people
from stateguard.trust.keys import create_guard_key, load_pinned
from stateguard.trust.ssh import SigningKey

AT, LATER = "2026-07-01T10:00:00.000Z", "2026-07-02T10:00:00.000Z"
KEYS = [people.ssh_key(SigningKey.generate().public.line + " me@here\n", AT) for _ in range(4)]
ANN, BOB = KEYS[0], KEYS[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a ``trust/`` with the guard's key in it."""
    made = tmp_path_factory.mktemp("home")
    for name in ("keys", "trust"):
        (made / name).mkdir()
    create_guard_key(made / "keys", made / "trust")
    return made / "trust"


@pytest.fixture(scope="module")
def person() -> Iterator[GpgHome]:
    with gpg_home() as made:
        yield made


def with_ann(folder: Path) -> Trust:
    return people.added(Trust(), folder, "ann", ANN, [Role.BASELINE])


class TestAdd:
    def test_a_new_person_may_push_unless_told_otherwise(self, folder: Path) -> None:
        one = people.added(Trust(), folder, "ann", ANN, None)
        assert one.version == 1
        assert one.find("ann").roles == (Role.PUSH,)  # type: ignore[union-attr]
        two = people.added(one, folder, "bob", BOB, [Role.ADMIN, Role.PUSH, Role.ADMIN])
        assert two.version == 2
        assert two.find("bob").roles == (Role.PUSH, Role.ADMIN)  # type: ignore[union-attr]
        assert two.owner(ANN.fingerprint).name == "ann"  # type: ignore[union-attr]

    def test_a_second_key_keeps_the_roles(self, folder: Path) -> None:
        after = people.added(with_ann(folder), folder, "ann", BOB, None)
        assert after.find("ann").roles == (Role.BASELINE,)  # type: ignore[union-attr]
        assert list(after.current_keys()) == [ANN, BOB]

    def test_roles_alone(self, folder: Path) -> None:
        after = people.added(with_ann(folder), folder, "ann", None, [])
        assert after.find("ann").roles == ()  # type: ignore[union-attr]
        with pytest.raises(NotFoundError, match="nobody is trusted under the name bob"):
            people.added(after, folder, "bob", None, [Role.PUSH])

    def test_the_same_again_changes_nothing(self, folder: Path) -> None:
        before = with_ann(folder)
        again = Key(ANN.kind, ANN.fingerprint, ANN.public, LATER)
        assert people.added(before, folder, "ann", again, None) is before
        assert people.added(before, folder, "ann", again, [Role.BASELINE]) is before

    def test_a_key_renewed_keeps_the_day_it_came(self, folder: Path) -> None:
        old, new = Key(GPG, "A" * 40, "old", AT), Key(GPG, "A" * 40, "new", LATER)
        after = people.added(people.added(Trust(), folder, "ann", old, None), folder, "ann", new, None)
        assert list(after.current_keys()) == [Key(GPG, "A" * 40, "new", AT)]
        assert after.version == 2

    def test_a_key_has_one_owner(self, folder: Path) -> None:
        with pytest.raises(RefusedError, match="is ann's") as refused:
            people.added(with_ann(folder), folder, "bob", ANN, None)
        assert refused.value.next_step == f"stateguard trust remove ann --key {ANN.fingerprint}"

    def test_the_guards_own_key_is_nobodys(self, folder: Path) -> None:
        own = people.ssh_key(load_pinned(folder).line, AT)
        with pytest.raises(RefusedError, match="the guard's own key"):
            people.added(Trust(), folder, "ann", own, None)

    @pytest.mark.parametrize(
        "name",
        ["", "guard", "Guard", "guard@stateguard", "unknown", "a b", "*", "a*", "!ann", "a,b", '"a"', "-ann", "#ann"],
    )
    @pytest.mark.parametrize("tail", ["", "\n", "\0", "é", "a" * 64])
    def test_names_that_cannot_be(self, folder: Path, name: str, tail: str) -> None:
        for wrong in (name, f"ann{tail}") if tail else (name,):
            with pytest.raises(UsageProblemError, match="cannot name a person"):
                people.added(Trust(), folder, wrong, ANN, None)

    def test_names_that_can(self, folder: Path) -> None:
        for name in ("ann", "Ann.Lee", "ann@example.org", "ann+work", "0ann", "a" * 63):
            assert people.added(Trust(), folder, name, ANN, None).find(name)


class TestExpiry:
    SOON, LATE = "2026-08-01T10:00:00.000Z", "2027-07-01T10:00:00.000Z"

    def test_it_is_written_read_and_taken_away(self, folder: Path) -> None:
        one = people.added(Trust(), folder, "ann", ANN, [Role.BASELINE], self.SOON)
        assert [k.expires_at for k in one.current_keys()] == [self.SOON]
        people.save(folder, one)
        assert f'expires_at: "{self.SOON}"' in (folder / "trust.yaml").read_text()
        assert people.load(folder) == one
        assert people.added(one, folder, "ann", ANN, None) is one, "the same key again keeps it"
        later = people.added(one, folder, "ann", ANN, None, "2027-07-01T12:00:00+02:00")
        assert [k.expires_at for k in later.current_keys()] == [self.LATE]
        never = people.added(later, folder, "ann", ANN, None, "")
        people.save(folder, never)
        assert "expires_at" not in (folder / "trust.yaml").read_text()
        assert people.load(folder) == never

    @pytest.mark.parametrize(
        "expires", [AT, "2026-06-30T00:00:00Z", "tomorrow", "2027-02-30T00:00:00Z", "9999-12-31T23:59:59-12:00"]
    )
    def test_times_that_cannot_be(self, folder: Path, expires: str) -> None:
        with pytest.raises(UsageProblemError):
            people.added(Trust(), folder, "ann", ANN, None, expires)

    def test_there_must_be_a_key(self, folder: Path) -> None:
        with pytest.raises(UsageProblemError, match="no key that could expire"):
            people.added(with_ann(folder), folder, "ann", None, None, self.SOON)

    def test_a_document_with_another_time_is_refused(self, folder: Path) -> None:
        people.save(folder, people.added(Trust(), folder, "ann", ANN, None, self.SOON))
        path = folder / "trust.yaml"
        path.write_text(path.read_text().replace(self.SOON, "never"))
        with pytest.raises(InvalidDocument):
            people.load(folder)


class TestRotate:
    def test_one_version_and_the_old_key_is_known(self, folder: Path) -> None:
        before = with_ann(folder)
        new = Key(BOB.kind, BOB.fingerprint, BOB.public, LATER)
        after = people.rotated(before, folder, "ann", new, None, "2027-07-01T10:00:00Z")
        assert after.version == before.version + 1
        (person,) = after.people
        assert (person.roles, [k.fingerprint for k in person.keys]) == ((Role.BASELINE,), [BOB.fingerprint])
        assert person.keys[0].expires_at == "2027-07-01T10:00:00.000Z"
        (former,) = after.former
        assert (former.key, former.name, former.removed_at) == (ANN, "ann", LATER)
        people.save(folder, after)
        assert people.load(folder) == after

    def test_which_of_several_goes_is_said(self, folder: Path) -> None:
        both = people.added(with_ann(folder), folder, "ann", BOB, None)
        with pytest.raises(UsageProblemError, match="2 keys; which one goes") as refused:
            people.rotated(both, folder, "ann", KEYS[2], None)
        assert ANN.fingerprint in refused.value.next_step
        after = people.rotated(both, folder, "ann", KEYS[2], ANN.fingerprint)
        assert list(after.current_keys()) == [BOB, KEYS[2]]

    def test_back_and_forth(self, folder: Path) -> None:
        once = people.rotated(with_ann(folder), folder, "ann", BOB, None)
        twice = people.rotated(once, folder, "ann", ANN, None)
        assert (list(twice.current_keys()), [f.key for f in twice.former], twice.version) == ([ANN], [BOB], 3)

    def test_what_cannot_be(self, folder: Path) -> None:
        ann = with_ann(folder)
        two = people.added(ann, folder, "bob", BOB, None)
        for trust, name, key, old, error in (
            (ann, "bob", BOB, None, NotFoundError),
            (ann, "ann", BOB, "SHA256:other", NotFoundError),
            (ann, "ann", ANN, None, RefusedError),
            (two, "ann", BOB, None, RefusedError),
            (ann, "ann", people.ssh_key(load_pinned(folder).line, AT), None, RefusedError),
        ):
            with pytest.raises(error):
                people.rotated(trust, folder, name, key, old)


class TestThreshold:
    def test_it_is_written_only_above_one(self, folder: Path) -> None:
        two = people.added(with_ann(folder), folder, "bob", BOB, [Role.BASELINE])
        people.save(folder, two)
        plain = (folder / "trust.yaml").read_text()
        assert "thresholds" not in plain
        both = people.with_threshold(two, Role.BASELINE, 2)
        assert both.version == two.version + 1
        people.save(folder, both)
        assert (folder / "trust.yaml").read_text().endswith("thresholds:\n  baseline: 2\n")
        assert people.load(folder) == both
        assert people.with_threshold(both, Role.BASELINE, 2) is both
        one = people.with_threshold(both, Role.BASELINE, 1)
        people.save(folder, one)
        assert (folder / "trust.yaml").read_text() == plain.replace("version: 2", f"version: {one.version}")

    def test_more_than_could_sign_is_refused(self, folder: Path) -> None:
        with pytest.raises(RefusedError, match="1 person with the role baseline cannot make 2"):
            people.with_threshold(with_ann(folder), Role.BASELINE, 2)
        assert people.with_threshold(Trust(), Role.BASELINE, 1) == Trust()
        for role, persons in ((Role.BASELINE, 0), (Role.BASELINE, -1), (Role.PUSH, 1), (Role.APPROVE, 1)):
            with pytest.raises(UsageProblemError):
                people.with_threshold(with_ann(folder), role, persons)

    @pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "[]"])
    def test_others_do_not_hold(self, folder: Path, text: str) -> None:
        people.save(folder, with_ann(folder))
        with (folder / "trust.yaml").open("a") as file:
            file.write(f"thresholds:\n  baseline: {text}\n")
        with pytest.raises(InvalidDocument):
            people.load(folder)


class TestRemove:
    def test_one_key_of_two(self, folder: Path) -> None:
        both = people.added(with_ann(folder), folder, "ann", BOB, None)
        after = people.removed(both, "ann", ANN.fingerprint, LATER)
        assert (after.version, list(after.current_keys())) == (3, [BOB])
        assert after.former_owner(ANN.fingerprint) == "ann"
        assert after.owner(ANN.fingerprint) is None
        assert set(after.all_keys()) == {ANN, BOB}

    def test_the_last_key_takes_the_person_along(self, folder: Path) -> None:
        for fingerprint in (None, ANN.fingerprint):
            after = people.removed(with_ann(folder), "ann", fingerprint, LATER)
            assert (after.people, after.former_owner(ANN.fingerprint)) == ((), "ann")

    def test_a_removed_key_may_come_back_but_to_nobody_else(self, folder: Path) -> None:
        gone = people.removed(with_ann(folder), "ann", None, LATER)
        back = people.added(gone, folder, "ann", ANN, None)
        assert (back.version, back.former, back.owner(ANN.fingerprint).name) == (3, (), "ann")  # type: ignore[union-attr]
        with pytest.raises(RefusedError, match="was ann's"):
            people.added(gone, folder, "bob", ANN, None)

    def test_whoever_is_not_there(self, folder: Path) -> None:
        for name, fingerprint in (("bob", None), ("ann", BOB.fingerprint), ("ann", ""), ("", None)):
            with pytest.raises(NotFoundError):
                people.removed(with_ann(folder), name, fingerprint, LATER)


class TestLock:
    def test_a_lock_outlives_the_keys(self, folder: Path) -> None:
        locked = people.locked(with_ann(folder), "ann", "laptop  stolen\n", AT)
        assert (locked.version, locked.lock_of("ann")) == (2, Lock("ann", "laptop stolen", AT))
        back = people.added(people.removed(locked, "ann", None, LATER), folder, "ann", ANN, None)
        assert back.lock_of("ann") == locked.lock_of("ann")
        assert people.unlocked(back, "ann").locked == ()

    def test_a_second_time_the_reason_is_another(self) -> None:
        once = people.locked(Trust(), "ann", "", AT)
        assert once.lock_of("ann").words == f"locked since {AT}"  # type: ignore[union-attr]
        assert people.locked(once, "ann", "", LATER) is once
        twice = people.locked(once, "ann", "stolen", LATER)
        assert (twice.version, twice.locked) == (2, (Lock("ann", "stolen", AT),))
        assert people.locked(twice, "ann", "", LATER) is twice
        assert twice.lock_of("ann").words == f"locked since {AT}: stolen"  # type: ignore[union-attr]

    def test_whoever_cannot_be(self) -> None:
        for name, reason in (("guard", ""), ("a b", ""), ("", ""), ("ann", "x" * 301)):
            with pytest.raises(UsageProblemError):
                people.locked(Trust(), name, reason, AT)
        with pytest.raises(NotFoundError, match="is not locked"):
            people.unlocked(Trust(), "ann")

    def test_a_document_without_locks_is_as_it_was(self, folder: Path) -> None:
        trust = with_ann(folder)
        people.save(folder, trust)
        assert "locked" not in (folder / "trust.yaml").read_text()
        for reason in ('a "quote" and an é', "gone \N{FIRE}", "back\\slash: #1", "nobody's"):
            people.save(folder, people.locked(trust, "bob", reason, AT))
            assert people.load(folder).locked == (Lock("bob", reason, AT),)
        people.save(folder, people.locked(trust, "bob", "\udc80 \x00\u2028\ufeff.", AT))
        assert people.load(folder).locked == (Lock("bob", ".", AT),)


_names = st.sampled_from(["ann", "bob", "cyd"])
_roles = st.none() | st.lists(st.sampled_from(list(Role)), max_size=3)
_steps = st.lists(
    st.tuples(st.just("add"), _names, st.sampled_from([*KEYS, None]), _roles)
    | st.tuples(st.just("remove"), _names, st.sampled_from([*(k.fingerprint for k in KEYS), None]), st.none())
    | st.tuples(st.just("lock"), _names, st.text(max_size=9), st.none())
    | st.tuples(st.just("unlock"), _names, st.none(), st.none()),
    max_size=8,
)


@given(_steps)
@settings(max_examples=60, deadline=None)
def test_whatever_is_changed_is_written_and_read_back(
    folder: Path, steps: list[tuple[str, str, object, object]]
) -> None:
    (folder / "trust.yaml").unlink(missing_ok=True)
    pinned, trust = load_pinned(folder), Trust()
    for action, name, what, roles in steps:
        try:
            if action == "add":
                after = people.added(trust, folder, name, what, roles)  # type: ignore[arg-type]
            elif action == "lock":
                after = people.locked(trust, name, what, AT)  # type: ignore[arg-type]
            elif action == "unlock":
                after = people.unlocked(trust, name)
            else:
                after = people.removed(trust, name, what, LATER)  # type: ignore[arg-type]
        except StateguardError:
            continue
        assert after.version == trust.version + (after != trust)
        trust = after
        people.save(folder, trust)
    owners = [p.name for p in trust.people for _ in p.keys]
    fingerprints = [k.fingerprint for k in trust.current_keys()]
    assert len(owners) == len(fingerprints) == len(set(fingerprints))
    assert not set(fingerprints) & {f.key.fingerprint for f in trust.former}
    assert people.load(folder) == trust
    assert load_pinned(folder) == pinned
    signers = (folder / "allowed_signers").read_text() if trust.version else ""
    counting = [k.fingerprint for p in trust.people for k in p.keys if trust.lock_of(p.name) is None]
    assert all((key.public in signers) == (key.fingerprint in counting) for key in KEYS)


_ANN = "{name: ann, keys: [{ssh: ANN, added_at: '2026-07-01'}]}"


class TestFiles:
    def test_a_gpg_key_lies_beside_the_document(self, folder: Path, person: GpgHome) -> None:
        fingerprint = person.make("ann")
        key = people.gpg_key(person.export(fingerprint), AT)
        trust = people.added(Trust(), folder, "ann", key, None)
        people.save(folder, trust)
        assert people.load(folder) == trust
        shown = person.run("--show-keys", "--with-colons", str(folder / f"{fingerprint}.asc")).stdout.decode()
        assert fingerprint in shown
        (folder / f"{fingerprint}.asc").unlink()
        (lost,) = people.load(folder).current_keys()
        assert (lost.fingerprint, lost.public) == (fingerprint, "")

    def test_stock_ssh_keygen_takes_the_signers_as_they_are(self, folder: Path, tmp_path: Path) -> None:
        key = SigningKey.generate()
        people.save(folder, people.added(Trust(), folder, "ann@example.org", people.ssh_key(key.public.line, AT), None))
        (tmp_path / "sig").write_text(key.sign(b"x"))
        command = [
            "ssh-keygen",
            "-Y",
            "verify",
            "-f",
            str(folder / "allowed_signers"),
            "-n",
            "git",
            "-s",
            str(tmp_path / "sig"),
        ]
        for name, expected in (("ann@example.org", 0), ("guard@stateguard", 255), ("ann", 255)):
            done = subprocess.run([*command, "-I", name], input=b"x", capture_output=True, check=False)
            assert done.returncode == expected

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "is empty"),
            ("version: 1\n", "apiVersion is missing"),
            ("apiVersion: stateguard/v1\nversion: 0\n", "at least 1"),
            ("apiVersion: stateguard/v1\nversion: 1\nadmins: []\n", "unknown key"),
            ("people: [{name: guard, keys: [{ssh: ANN, added_at: '2026-07-01'}]}]", "cannot name a person"),
            ("people: [{name: ann, keys: []}]", "must not be empty"),
            ("people: [{name: ann, keys: [{added_at: '2026-07-01'}]}]", "either ssh or gpg"),
            ("people: [{name: ann, keys: [{ssh: ANN, gpg: 'AA', added_at: '2026-07-01'}]}]", "no full fingerprint"),
            ("people: [{name: ann, keys: [{ssh: ssh-rsa AAAA, added_at: '2026-07-01'}]}]", "no SSH public key"),
            ("people: [{name: ann, keys: [{ssh: ANN, added_at: yesterday}]}]", "added_at"),
            ("people: [{name: ann, roles: [king], keys: [{ssh: ANN, added_at: '2026-07-01'}]}]", "push, baseline"),
            (f"people:\n- {_ANN}\n- {_ANN.replace('ann', 'bob')}\n", "is ann's already"),
            (f"people:\n- {_ANN}\n- {_ANN.replace('ANN', 'BOB')}\n", "named twice"),
            ("people: []\nlocked:\n" + "- {name: ann, locked_at: '2026-07-01'}\n" * 2, "named twice"),
            ("people: []\nlocked: [{name: ann}]", "locked_at is missing"),
        ],
    )  # fmt: skip
    def test_a_document_that_does_not_hold(self, tmp_path: Path, text: str, problem: str) -> None:
        text = text.replace("ANN", ANN.public).replace("BOB", BOB.public)
        if text.startswith("people"):
            text = f"apiVersion: stateguard/v1\nversion: 1\n{text}\n"
        (tmp_path / "trust.yaml").write_text(text)
        with pytest.raises(InvalidDocument) as refused:
            people.load(tmp_path)
        assert any(problem in p.message for p in refused.value.problems), refused.value.problems

    def test_one_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "trust.yaml").mkdir()
        with pytest.raises(StateguardError, match="cannot be read"):
            people.load(tmp_path)


class TestOfferedKeys:
    @pytest.mark.parametrize(
        "kind", [["ed25519"], ["ed25519", "-m", "PEM"], ["rsa", "-b", "3072", "-m", "PEM"], ["ecdsa"]]
    )
    def test_a_private_ssh_key(self, tmp_path: Path, kind: list[str]) -> None:
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", tmp_path / "key", "-t", *kind], check=True)
        with pytest.raises(TrustError, match="private key; it was not stored"):
            people.ssh_key((tmp_path / "key").read_text(), AT)
        assert people.ssh_key("# a comment\n\n" + (tmp_path / "key.pub").read_text(), AT).fingerprint

    @pytest.mark.parametrize(
        "text", ["", "\n# nothing\n", ANN.public + "\n" + BOB.public + "\n"], ids=["empty", "comment", "two"]
    )
    def test_not_exactly_one_line(self, text: str) -> None:
        with pytest.raises(TrustError, match="exactly one"):
            people.ssh_key(text, AT)

    @pytest.mark.parametrize(
        "text",
        [f'command="x" {ANN.public}', "ssh-ed25519", "x y", "-----BEGIN CERTIFICATE-----"],
        ids=["options", "kind alone", "words", "certificate"],
    )
    def test_a_line_that_is_no_key(self, text: str) -> None:
        with pytest.raises(TrustError):
            people.ssh_key(text, AT)

    def test_an_armored_private_gpg_key(self, person: GpgHome) -> None:
        secret = person.run("--armor", "--export-secret-keys", person.make("eve")).stdout
        with pytest.raises(TrustError, match="private key; it was not stored"):
            people.gpg_key(secret, AT)


@given(st.text(max_size=70))
def test_a_name_is_one_word_of_allowed_signers(name: str) -> None:
    if is_person_name(name):
        assert not set(name) & set(" \t\n\r\"',*?!#\\")
        assert name.isascii()
