"""`clv sample-data`."""

import json

import pyarrow.parquet
import pytest


def test_it_says_where_the_passengers_are_and_how_many(clv, home):
    finished = clv("sample-data", "--passengers", "300")
    assert (finished.code, finished.err) == (0, "")
    first, second = finished.out.splitlines()
    assert first == f"300 passengers: {home}/sample/activity.parquet"
    assert second.endswith(f" rides: {home}/sample/rides.parquet")
    assert pyarrow.parquet.read_metadata(home / "sample" / "activity.parquet").num_rows == 300


def test_it_answers_machines_in_json_and_nothing_else(clv, tmp_path):
    folder = tmp_path / "data"
    finished = clv(
        "sample-data", "--passengers", 50, "--format", "csv", "--output", folder, "--json"
    )
    assert (finished.code, finished.err) == (0, "")
    answer = json.loads(finished.out)
    assert answer["activity"] == str(folder / "activity.csv")
    assert answer["activity_rows"] == 50
    assert len((folder / "rides.csv").read_text().splitlines()) == answer["ride_rows"] + 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--passengers", 10**12], "clv: passengers=1000000000000: expected a whole number from 1"),
        (["--seed", 2**64], "clv: seed=18446744073709551616: expected a whole number from 0"),
    ],
)
def test_more_than_it_can_generate_is_wrong_usage(arguments, says, clv, home):
    refused = clv("sample-data", *arguments)
    assert refused.code == 2
    assert refused.complaint.startswith(says)
    assert not home.exists()


def test_a_place_that_is_a_file_is_wrong_usage(clv, tmp_path):
    (tmp_path / "file").touch()
    refused = clv("sample-data", "--output", tmp_path / "file")
    assert refused.code == 2
    assert "cannot be made" in refused.complaint
