"""What changes something says on standard error who did it; cron and collectors keep it."""

import getpass
import re

import pytest

from clv.cli.show import audited


def lines(err: str) -> list[str]:
    """The audit lines, without their time."""
    found = [line for line in err.splitlines() if line.startswith("audit: ")]
    return [re.sub(r"^audit: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", "", line) for line in found]


def test_keys_pruning_erasing_and_restoring_leave_a_line(clv, home):
    me = getpass.getuser()
    made = clv("keys", "create", "ops", "--scope", "admin")
    key_id = made.out.split("_")[1]
    assert lines(made.err) == [f"create key by {me}: {key_id} 'ops' for admin"]
    assert made.out.strip() not in made.err
    assert lines(clv("keys", "revoke", key_id).err) == [f"revoke key by {me}: {key_id} 'ops'"]
    (pruned,) = lines(clv("prune", "--days", "400").err)
    assert pruned.startswith(f"prune by {me}: 0 requests before 20")
    (erased,) = lines(clv("passenger", "erase", "4711", "--yes").err)
    assert erased == f"erase by {me}: a passenger, 0 requests and 0 outcomes"
    assert "4711" not in erased
    backup = home.parent / "backup.sqlite"
    assert clv("backup", backup).code == 0
    (restored,) = lines(clv("restore", backup, "--yes").err)
    assert restored.startswith(f"restore by {me}: 0 requests from ")


def test_what_changes_nothing_leaves_none(clv):
    assert lines(clv("keys", "list").err) == []
    assert lines(clv("keys", "revoke", "00000000").err) == []


def test_a_user_without_a_name_is_told_by_number(monkeypatch, capsys: pytest.CaptureFixture[str]):
    def nobody() -> str:
        raise KeyError

    monkeypatch.setattr(getpass, "getuser", nobody)
    audited("prune", "nothing")
    assert re.search(r"Z prune by uid \d+: nothing$", capsys.readouterr().err.strip())
