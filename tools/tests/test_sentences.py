# SPDX-License-Identifier: MPL-2.0
"""Every sentence that is promised of series, labels and shapes is a test.

The table says which; this file fails when one of them is renamed or goes. What is
promised of Django's metrics is proven by what a site sends to four backends.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "packages"

SENTENCES: dict[str, list[str]] = {
    # -- client.series
    "a handle for one series, of each kind": [
        "test_there_is_one_for_each_kind_name_and_fields",
        "test_a_handle_and_calls_count_together",
    ],
    "its time has three decimals": ["test_a_time_of_a_handle_has_three_decimals"],
    "it is good over forks, for a new sender, and as collectors come and go": [
        "test_a_forked_child_counts_for_itself",
        "test_another_sender_gets_what_comes_after",
        "test_collectors_see_what_handles_record_and_go_again",
        "test_nothing_is_lost_or_doubled_while_everything_changes",
    ],
    "an unknown kind is a TypeError": ["test_an_unknown_kind_is_a_slip_in_code"],
    "any other bad input gives a handle that drops and counts": [
        "test_a_bad_name_or_bad_fields_give_one_that_drops",
        "test_what_is_no_measurement_is_refused",
    ],
    # -- Metric
    "a declaration takes these parameters": [
        "test_a_declaration_takes_these_in_this_order",
        "test_a_declaration_that_cannot_work",
    ],
    "its base is what is literal, by default": ["test_the_base_is_what_is_literal"],
    "what only adds up another metric is left out where there are labels": [
        "test_a_sum_is_left_out_where_there_are_labels"
    ],
    "gauges of several processes combine as it says": [
        "test_gauges_of_several_processes_are_one_as_declared"
    ],
    "its scale is the dotted shape's": [
        "test_a_scale_is_for_the_dotted_shape_only",
        "test_plain_statsd_gets_dotted_names",
    ],
    "its unit is that of labels; dotted timers are milliseconds": [
        "test_units_bounds_and_meaning",
        "test_the_dotted_name_has_a_unit_of_its_own",
    ],
    "find is for tools that may guess": ["test_the_most_literal_declaration_wins"],
    "one base has one kind, one unit and one set of labels": [
        "test_one_base_has_one_kind_one_unit_and_one_set_of_labels",
        "test_declarations_of_one_base_that_differ",
    ],
    # -- Metric.series
    "dotted name and labels come from the same parts": [
        "test_name_and_labels_come_from_the_same_parts",
        "test_one_declaration_two_shapes",
    ],
    "a missing, unknown or doubled part is a TypeError; class is class_": [
        "test_a_missing_unknown_or_doubled_part",
        "test_a_part_may_be_called_as_python_calls_something",
    ],
    "a handle is remembered per client": [
        "test_a_handle_is_remembered_per_client_and_parts"
    ],
    "parts that are no placeholder are labels only": [
        "test_parts_that_are_no_placeholder_are_labels_only"
    ],
    "labels have the real values, dotted names have segments": [
        "test_any_parts_make_a_name_that_fits_the_declaration",
        "test_hostile_parts_come_out_under_their_own_labels",
        "test_hostile_names_come_out_under_their_own_labels",
    ],
    "no name of ours is ever taken apart": [
        "test_no_name_of_ours_is_taken_apart",
        "test_no_name_is_written_where_it_is_sent",
        "test_a_test_that_sends_something_else_fails",
    ],
    # -- plain names, histograms, functions
    "a plain name is itself, whatever is declared": [
        "test_a_plain_name_is_itself_whatever_is_declared"
    ],
    "parse takes plain names apart, once per series": [
        "test_plain_names_are_taken_apart_for_who_asks_for_it",
        "test_plain_names_that_a_declaration_parses",
    ],
    "client.histogram is of type histogram": [
        "test_a_sender_of_messages_gets_the_same"
    ],
    "a function is asked by the worker, and what it raises is counted": [
        "test_a_function_is_asked_by_a_worker",
        "test_what_it_raises_is_counted",
    ],
    "once_per_host: a lock in a folder of the user's, freed by the kernel": [
        "test_a_lock_is_one_process_of_the_hosts",
        "test_a_folder_that_is_somebody_elses_is_not_used",
        "test_once_per_host_asks_in_one_process_only",
    ],
    "without it StatsD does not get a level that workers overwrite": [
        "test_statsd_gets_no_level_that_processes_overwrite",
        "test_dogstatsd_asks_for_the_process_in_a_field",
    ],
    "observe returns what can be stopped; a sender without a worker gets one": [
        "test_it_is_stopped",
        "test_a_sender_without_a_worker_gets_one",
    ],
    "kind=counter is for what only grows": [
        "test_what_only_grows_is_counted_by_its_growth"
    ],
    # -- common fields, rules, rates
    "common fields are tags, labels, resource attributes and message fields": [
        "test_common_fields_are_tags",
        "test_common_fields_are_in_every_message",
        "test_a_part_wins_over_a_field_that_is_cleaned_to_it",
        "test_common_fields_of_clients_are_resources",
    ],
    "configured ones win over the environment's": [
        "test_configured_fields_win_over_the_environments_resource"
    ],
    "rules read dotted names as fnmatchcase does; the first that fits decides": [
        "test_the_first_rule_that_fits_decides"
    ],
    "they are of a client or of a route, for metrics whatever the sender": [
        "test_rules_of_a_client",
        "test_rules_hold_whatever_the_sender",
        "test_rules_of_a_route_are_that_routes_alone",
        "test_rules_of_two_statsd_routes_share_one_aggregate",
    ],
    "they are decided once for each series and route": [
        "test_a_lens_remembers_what_it_showed"
    ],
    "rename changes the dotted name, labels the labels": [
        "test_rename_changes_the_dotted_name_and_labels_the_labels"
    ],
    "two series with equal result are one": [
        "test_rules_of_a_client",
        "test_rules_of_a_client_in_the_dotted_shape",
        "test_what_becomes_equal_is_one_series_of_otlp",
    ],
    "a rule's rate thins what StatsD gets; OTLP and Prometheus ignore it": [
        "test_a_rate_thins_what_statsd_gets",
        "test_a_rate_of_a_rule_is_nothing_to_prometheus",
        "test_one_process_sends_both_shapes",
    ],
    "fields and rules in a dict and in INI": [
        "test_fields_and_rules_of_a_dict",
        "test_fields_and_rules_of_an_ini_file",
        "test_rules_of_a_route_are_those_that_it_names",
        "test_errors_in_rules_name_their_section",
    ],
    "a call's own rate: counters are divided by it, histograms count once": [
        "test_a_rate_of_ones_own_counts_everywhere",
        "test_a_share_that_the_caller_measured",
    ],
    # -- shapes
    "names= on a sender, and its default": [
        "test_plain_statsd_gets_dotted_names",
        "test_dogstatsd_gets_labels",
        "test_dogstatsd_can_have_dotted_names",
        "test_messages_have_the_dotted_name",
        "test_it_sends_the_original_s_names",
    ],
    "another shape for plain StatsD is a ConfigError": [
        "test_plain_statsd_refuses_another_shape"
    ],
    "messages, filters, captures and the panel see the dotted name": [
        "test_messages_have_the_dotted_name",
        "test_filters_see_the_dotted_name",
        "test_captured_and_sent_know_base_and_labels",
        "test_a_declared_metric_has_its_dotted_name",
    ],
    "mappings, dashboards and alerts are written from the declarations": [
        "test_a_mapping_gives_what_the_labelled_shape_gives",
        "test_the_documented_matching_gives_our_labels",
        "test_datadogs_mapper_gives_our_tags",
        "test_ones_own_declarations_are_drawn",
        "test_alerts_are_of_what_is_declared",
    ],
    # -- rules for all
    "OTLP and Prometheus get seconds in every shape, exact": [
        "test_times_are_seconds_where_there_are_units"
    ],
    "the whole milliseconds of client.timer are those of message and line": [
        "test_whole_milliseconds_are_of_messages_and_statsd"
    ],
    "a label that does not apply is empty, or left out": [
        "test_a_label_that_does_not_apply_is_empty",
        "test_dogstatsd_gets_labels",
        "test_what_does_not_apply_is_left_out",
    ],
    "what backends have for something of their own is never a label": [
        "test_reserved_labels_are_left_out",
        "test_reserved_labels_are_left_out_with_one_warning",
        "test_labels_that_prometheus_cannot_tell_apart",
    ],
    "a label has at most METLOG_VIEW_NAMES_MAX values, then other": [
        "test_a_label_has_a_limited_number_of_values",
        "test_views_that_pages_name_are_limited_too",
        "test_the_limit_is_a_setting",
    ],
    "counters and values that differ in fields add up; gauges are told once": [
        "test_gauges_that_differ_in_fields_are_told_once",
        "test_gauges_that_differ_in_fields_only_are_told_once",
    ],
    "a field named as a part: the part wins, told once": [
        "test_the_parts_win_over_fields_of_the_same_name",
        "test_a_part_wins_over_a_field_that_is_cleaned_to_it",
    ],
    "two series never become one by accident": [
        "test_one_name_of_two_kinds_for_statsd",
        "test_one_name_with_two_units_for_otlp",
        "test_two_bases_that_become_one_name_for_prometheus",
        "test_declared_metrics_that_a_backend_mixes_up",
        "test_views_that_have_one_name",
        "test_aliases_that_have_one_name",
    ],
    # -- the table
    "each base has its kind, its unit and its labels": [
        "test_a_base_has_its_kind_unit_and_labels",
        "test_every_base_is_in_the_table",
        "test_every_metric_is_in_the_catalogue",
        "test_every_meaning_stands_alone",
    ],
    "request: as the outermost middleware saw it, and by the convention": [
        "test_the_sums_agree",
        "test_a_request",
        "test_a_request_that_was_cancelled_has_no_status",
    ],
    "request.active: by the convention only for who asks for what is in development": [
        "test_requests_in_flight_are_asked_for",
        "test_conventions_in_development_are_asked_for",
        "test_requests_in_flight_are_not_for_statsd",
    ],
    "requests of twenty views are ten names at most": [
        "test_twenty_views_are_ten_names"
    ],
    "db: system, namespace, operation and error by the convention": [
        "test_databases_have_the_names_of_the_convention",
        "test_a_statement_names_no_path",
        "test_the_conventions_name_the_database",
    ],
    "http.client: address, port, method, status by the convention": [
        "test_a_request_to_another_server",
        "test_the_port_is_the_scheme_s_own_if_none_is_written",
        "test_a_host_that_is_not_named_is_other",
    ],
    "tasks: by task, queue and backend; Celery's by task and queue": [
        "test_celery_tasks_add_up"
    ],
    "window.*: forms by view are left out, CLS is a score": [
        "test_what_browsers_report_is_told_once_where_there_are_labels"
    ],
    "metlog.sent and its like, with self_metrics": [
        "test_a_sender_counts_its_own_work",
        "test_what_a_sender_lost_is_told_too",
        "test_a_sender_of_messages_refuses_what_is_for_metrics",
    ],
    "runtime, pools, log-ins, mails": [
        "test_the_process",
        "test_pools",
        "test_log_ins",
        "test_mails",
    ],
    "hostile views, aliases, tasks and hosts have labels of their own": [
        "test_hostile_names_come_out_under_their_own_labels",
        "test_hostile_names_of_a_site",
    ],
    # -- Prometheus' names, and bounds
    "Prometheus' names, and a prefix in front": [
        "test_every_name_is_allowed",
        "test_a_prefix_is_prometheus_alone",
    ],
    "two bases that become one name: dropped, counted, told once": [
        "test_two_metrics_do_not_share_a_name",
        "test_two_bases_that_become_one_name_for_prometheus",
    ],
    "promtool has nothing to say": ["test_promtool_has_nothing_to_say"],
    "the bounds of buckets": [
        "test_the_default_bounds",
        "test_bounds_of_buckets",
        "test_bounds_and_requirements_are_the_documents",
    ],
    "names of the conventions are those of the package": [
        "test_the_stable_ones_are_those_of_the_package",
        "test_attributes_are_those_of_the_package",
    ],
}


@cache
def all_tests() -> frozenset[str]:
    """Their names in all packages, those under a condition included."""
    return frozenset(
        node.name
        for file in ROOT.glob("*/tests/**/test_*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    )


@pytest.mark.parametrize("sentence", SENTENCES)
def test_each_sentence_has_its_tests(sentence: str) -> None:
    """They exist, under the names that the table has."""
    assert not set(SENTENCES[sentence]) - all_tests()
