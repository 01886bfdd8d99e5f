"""One bad file per fault, named for it, and the whole message that it must give."""

from pathlib import Path

import pytest

from exporter.config import load
from exporter.errors import ConfigError

TESTDATA = Path(__file__).parent / "testdata"

NO_COUNT = "is not an integer from 1 to 1000000"
NO_MAPPING = "is not a mapping; write its keys below it, as key: value"
NO_ADDRESS = "is not HOST:PORT or [IPV6]:PORT with a port from 1 to 65535"
NO_STORE = (
    "names no store; known are sqlite:///path, sqlite:// (in memory), redis://, rediss://, unix://, "
    "redis+sentinel://, redis+cluster://"
)
RULE_KEYS = (
    "window_seconds, quality_threshold, downgrade_threshold, lower_tier_threshold, min_samples, "
    "full_confidence_samples, start_tier"
)

# FILE stands for the path of the file.
MESSAGES = {
    "access_log_is_a_number": "FILE: access_log: 1 is not true or false",
    "access_log_is_quoted": "FILE: access_log: 'false' is a text, not true or false; write it without quotes",
    "alias": "FILE: line 3, column 24: the alias *threshold is not allowed; write out what it stands for",
    "anchor": "FILE: line 1, column 8: the anchor &defaults is not allowed; remove it",
    "billion_laughs": "FILE: line 1, column 4: the anchor &a is not allowed; remove it",
    "bracket_not_closed": "FILE: line 2, column 7: expected ',' or ']', but got ':', while parsing a flow sequence",
    "colon_in_plain_text": "FILE: line 1, column 22: mapping values are not allowed here",
    "contradiction_with_the_workflow": (
        "FILE: workflows.code-review.stages.analysis.downgrade_threshold: 0.8 is not above "
        "quality_threshold, 0.8 (FILE: workflows.code-review.quality_threshold)"
    ),
    "control_character": "FILE: line 2, column 19: the character U+0001 is not allowed; remove it",
    "downgrade_below_quality": (
        "FILE: rules.quality_threshold: 0.8 is not below downgrade_threshold, 0.75 (FILE: rules.downgrade_threshold)"
    ),
    "escape_out_of_range": "FILE: an escape in quotes, or the version after %YAML, is no number that YAML allows",
    "full_confidence_is_zero": f"FILE: rules.full_confidence_samples: 0 {NO_COUNT}",
    "integer_is_a_fraction": f"FILE: rules.min_samples: 10.0 {NO_COUNT}",
    "integer_is_huge": (f"FILE: series_limit: {'9' * 77}... {NO_COUNT}"),
    "integer_is_octal": f"FILE: rules.min_samples: 010 {NO_COUNT}",
    "integer_is_sexagesimal": "FILE: rules.window_seconds: 168:00:00 is not an integer from 3600 to 7776000",
    "key_twice": "FILE: rules.min_samples: given twice, in lines 2 and 4; keep one",
    "list_as_key": "FILE: line 2, column 3: a key of this mapping is a list or a mapping; write a name",
    "listen_ipv6_without_brackets": f"FILE: listen: '::1:10470' {NO_ADDRESS}",
    "listen_ipv6_without_quotes": (
        "FILE: line 1, column 10: expected the node content, but found ':', while parsing a flow node"
    ),
    "listen_is_a_mapping": "FILE: listen: a mapping is not a text",
    "listen_is_a_number": f"FILE: listen: '10470' {NO_ADDRESS}",
    "listen_is_empty": "FILE: listen: nothing is not a text; leave the key out to have the default",
    "listen_no_ipv4": f"FILE: listen: '127.0.0.256:10470' {NO_ADDRESS}",
    "listen_no_ipv6": f"FILE: listen: '[::g]:10470' {NO_ADDRESS}",
    "listen_port_too_large": f"FILE: listen: '127.0.0.1:65536' {NO_ADDRESS}",
    "listen_port_zero": f"FILE: listen: '127.0.0.1:0' {NO_ADDRESS}",
    "listen_without_host": f"FILE: listen: ':10470' {NO_ADDRESS}",
    "listen_without_port": f"FILE: listen: 'localhost' {NO_ADDRESS}",
    "lower_tier_below_quality": (
        "FILE: workflows.code-review.stages.analysis.lower_tier_threshold: 0.6 is below "
        "quality_threshold, 0.7 (the default)"
    ),
    "merge_key": 'FILE: workflows: << is a merge key to YAML, not a text; put it in quotes: "<<"',
    "name_ends_in_space": "FILE: workflows: name 'code-review ' has white space at an end",
    "name_holds_a_newline": (
        "FILE: workflows: name 'a\\nb' holds a control character or half a surrogate pair\n"
        f"FILE: workflows.'a\\nb'.min_samples: 0 {NO_COUNT}"
    ),
    "name_is_a_boolean": 'FILE: workflows: yes is a boolean to YAML, not a text; put it in quotes: "yes"',
    "name_is_a_date": 'FILE: workflows: 2024-01-01 is a date to YAML, not a text; put it in quotes: "2024-01-01"',
    "name_is_a_number": 'FILE: workflows: 1.10 is a number to YAML, not a text; put it in quotes: "1.10"',
    "name_is_an_integer": (
        'FILE: workflows.code-review.stages: 2024 is a number to YAML, not a text; put it in quotes: "2024"'
    ),
    "name_is_empty": "FILE: workflows: name must not be empty",
    "name_is_null": 'FILE: workflows: ~ is null to YAML, not a text; put it in quotes: "~"',
    "nested_too_deeply": "FILE: line 1, column 32: the nesting is deeper than 20 levels",
    "not_utf_8": "FILE: line 2: not UTF-8; save the file in that encoding",
    "number_is_a_boolean": f"FILE: rules.min_samples: yes {NO_COUNT}",
    "number_is_a_list": f"FILE: rules.min_samples: a list of 1 {NO_COUNT}",
    "number_is_empty": f"FILE: rules.min_samples: nothing {NO_COUNT}; leave the key out to have the default",
    "number_is_quoted": (
        "FILE: rules.quality_threshold: '0.7' is a text, not a number from 0 to 1; write it without quotes"
    ),
    "quality_at_default_downgrade": (
        "FILE: workflows.code-review.quality_threshold: 0.9 is not below downgrade_threshold, 0.9 (the default)"
    ),
    "role_is_unknown": "FILE: role: 'exporter' is not one of all, export, ingest",
    "rules_is_a_number": f"FILE: rules: 0.8 {NO_MAPPING}",
    "series_limit_is_zero": f"FILE: series_limit: 0 {NO_COUNT}",
    "stages_is_a_list": f"FILE: workflows.code-review.stages: a list of 1 {NO_MAPPING}",
    "start_tier_is_a_number": 'FILE: rules.start_tier: 1 is a number to YAML, not a text; put it in quotes: "1"',
    "start_tier_is_empty": "FILE: rules.start_tier: '' is none of the tiers cheap, capable, premium",
    "start_tier_is_no_tier": (
        "FILE: workflows.code-review.start_tier: 'large' is none of the tiers cheap, capable, premium"
    ),
    "store_is_a_number": f"FILE: store: store URL '***' {NO_STORE}",
    "store_is_a_path": f"FILE: store: store URL '***' {NO_STORE}",
    "store_of_unknown_scheme": f"FILE: store: store URL 'postgresql://user:***@db/feedback' {NO_STORE}",
    "tab_as_indentation": (
        "FILE: line 2, column 1: found character '\\t' that cannot start any token, while scanning for "
        "the next token; indent with spaces"
    ),
    "tag": "FILE: line 1, column 8: a tag (!) is not allowed; remove it, or put the value in quotes",
    "threshold_infinite": "FILE: rules.downgrade_threshold: .inf is not a number from 0 to 1",
    "threshold_is_a_percentage": "FILE: rules.quality_threshold: '70%' is not a number from 0 to 1",
    "threshold_nan": "FILE: rules.quality_threshold: .nan is not a number from 0 to 1",
    "threshold_nan_as_text": "FILE: rules.quality_threshold: 'NaN' is not a number from 0 to 1",
    "threshold_negative": "FILE: rules.lower_tier_threshold: -0.1 is not a number from 0 to 1",
    "threshold_too_large": (
        "FILE: workflows.code-review.stages.analysis.quality_threshold: 1.5 is not a number from 0 to 1"
    ),
    "tier_ends_in_space": "FILE: tiers: name 'capable ' has white space at an end",
    "tier_is_a_list": "FILE: tiers: a list of 2 is not a text",
    "tier_is_a_number": 'FILE: tiers: 4.1 is a number to YAML, not a text; put it in quotes: "4.1"',
    "tier_twice": "FILE: tiers: name 'cheap' stands twice; give each its own",
    "tiers_has_one": "FILE: tiers: a list of 1 is not a list of 2 to 16 names",
    "tiers_has_seventeen": "FILE: tiers: a list of 17 is not a list of 2 to 16 names",
    "tiers_is_a_text": "FILE: tiers: 'cheap, capable, premium' is not a list of 2 to 16 names",
    "top_level_is_a_list": f"FILE: a list of 1 {NO_MAPPING}",
    "top_level_is_a_text": f"FILE: 'listen' {NO_MAPPING}",
    "two_documents": "FILE: line 2, column 1: a second document begins; keep one",
    "unknown_key": (
        f"FILE: rules.quality_treshold: unknown key (did you mean quality_threshold?); known are {RULE_KEYS}"
    ),
    "unknown_key_at_the_top": (
        "FILE: quality_threshold: unknown key (did you mean rules.quality_threshold?); "
        "known are listen, store, wait_replicas, workers, role, access_log, series_limit, tiers, rules, workflows"
    ),
    "unknown_key_of_a_stage": f"FILE: workflows.code-review.stages.analysis.stages: unknown key; known are {RULE_KEYS}",
    "window_too_long": "FILE: rules.window_seconds: 7776001 is not an integer from 3600 to 7776000",
    "window_too_short": "FILE: rules.window_seconds: 3599 is not an integer from 3600 to 7776000",
    "workflow_is_a_number": f"FILE: workflows.code-review: 0.8 {NO_MAPPING}",
    "workflow_twice": "FILE: workflows.code-review: given twice, in lines 2 and 3; keep one",
    "workers_is_zero": "FILE: workers: 0 is not an integer from 1 to 64",
    "workers_share_memory": (
        "FILE: workers: 4 workers cannot share sqlite:// (FILE: store), which is one process's own; "
        "give sqlite:///path or redis://, or 1 worker"
    ),
}


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_bad_file_is_refused_in_exactly_these_words(name: str) -> None:
    """A file with one fault is refused with the place, what was given and the rule."""
    path = TESTDATA / f"{name}.yml"

    with pytest.raises(ConfigError) as caught:
        load(path, {}, {})

    assert str(caught.value) == MESSAGES[name].replace("FILE", str(path))


def test_every_bad_file_has_its_message() -> None:
    """No file of the test data is without a row in the table."""
    assert {path.stem for path in TESTDATA.iterdir()} == set(MESSAGES)
