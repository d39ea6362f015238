"""A study's file: what it says, and what it may not say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crs.studies.plan import Plan, read_plan
from knowledge.errors import InputError, NotFoundError
from knowledge.types import TASKS

TOML = """
name = "signals"
tasks = ["user_summary_brief", "purchase_reason", "product_endorsement"]
n_per_task = 5
[[settings]]
name = "fused"
[[settings]]
name = "content"
signals = "content"
bundle = "other"
"""


def plan_of(tmp_path: Path, text: str, name: str = "study.toml") -> Plan:
    (tmp_path / name).write_text(text)
    return read_plan(tmp_path / name)


def test_a_file_says_what_it_says_and_the_rest_is_default(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, TOML)
    assert plan.tasks == ("purchase_reason", "user_summary_brief", "product_endorsement")
    assert (plan.mode, plan.n_per_task, plan.raters, plan.checks, plan.per_rater) == ("rate", 5, 3, 4, None)
    assert [(one.name, one.signals) for one in plan.settings] == [("fused", "fused"), ("content", "content")]
    assert plan.settings[1].bundle == tmp_path / "other" and plan.settings[0].bundle is None


def test_foresight_is_asked_of_reasons_alone(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, TOML)
    assert plan.attributes_of("purchase_reason") == (
        "veracity", "grounding", "clarity", "foresight", "personalization",
    )  # fmt: skip
    for task in ("user_summary_brief", "product_endorsement"):
        assert plan.attributes_of(task) == ("veracity", "grounding", "clarity", "personalization")  # type: ignore[arg-type]


def test_json_says_the_same_and_another_seed_is_another_study(tmp_path: Path) -> None:
    fields = {"name": "a", "settings": [{"name": "x"}], "attributes": ["clarity", "veracity"]}
    plan = plan_of(tmp_path, json.dumps(fields), "study.json")
    assert plan.tasks == TASKS and plan.attributes_of("user_profile") == ("veracity", "clarity")
    assert plan.fingerprint == plan_of(tmp_path, json.dumps(fields), "study.json").fingerprint
    other = plan_of(tmp_path, json.dumps({**fields, "seed": 1}), "study.json")
    assert other.fingerprint != plan.fingerprint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "is no TOML"),
        ('name = "x"', "field 'settings'"),
        ('name = "x"\nrater = 3', "field 'rater': is no field of a study"),
        ('name = "x"\n[[settings]]\nname = "a"\nsignal = "cf"', "field 'settings.signal'"),
        ('name = "x"\n[[settings]]\nname = "a"\nsignals = "both"', "field 'settings.signals': is 'both'"),
        ('name = "x"\n[[settings]]\nname = "a"\n[[settings]]\nname = "a"', "share a name"),
        ('name = "x"\nmode = "compare"\n[[settings]]\nname = "a"', "add another"),
        ('name = "x"\nn_per_task = 0\n[[settings]]\nname = "a"', "field 'n_per_task': is 0"),
        ('name = "x"\ntasks = ["poem"]\n[[settings]]\nname = "a"', "field 'tasks'"),
        ('name = "x"\nattributes = ["clarity"]\n[[settings]]\nname = "a"', "lacks veracity"),
        ('[[settings]]\nname = "a"', "field 'name': is missing"),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        plan_of(tmp_path, text)
    assert said in str(refused.value) and "study.toml" in str(refused.value)


def test_the_example_is_a_study() -> None:
    plan = read_plan(Path(__file__).resolve().parents[3] / "docs" / "study.toml")
    assert plan.mode == "compare" and [one.signals for one in plan.settings] == ["fused", "content"]


def test_no_file_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        read_plan(tmp_path / "none.toml")
