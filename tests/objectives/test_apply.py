"""What applying documents stores."""

from __future__ import annotations

import pytest

from pipeline.objectives.apply import documents_of, plan
from pipeline.objectives.history import read
from pipeline.slo.openslo import AnyObject
from pipeline.slo.resolve import check
from tests.objectives.documents import service, slo

SHARED = """
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: shared}
spec:
  service: claims
  budgetingMethod: Occurrences
  timeWindow: [{duration: 30d, isRolling: true}]
  indicatorRef: overrides
  objectives: [{displayName: right, target: 0.9}]
  alertPolicies: [{alertPolicyRef: burning}]
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: overrides}
spec:
  ratioMetric:
    bad: {metricSource: {metricSourceRef: here, spec: {metric: override_rate, part: numerator}}}
    total: {metricSource: {metricSourceRef: here, spec: {metric: override_rate, part: denominator}}}
---
apiVersion: openslo/v1
kind: DataSource
metadata: {name: here}
spec: {type: trueup, connectionDetails: {}}
---
apiVersion: openslo/v1
kind: DataSource
metadata: {name: unused}
spec: {type: trueup, connectionDetails: {}}
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: burning}
spec:
  conditions: [{conditionRef: fast}]
  notificationTargets: [{targetRef: duty}]
---
apiVersion: openslo/v1
kind: AlertCondition
metadata: {name: fast}
spec:
  severity: page
  condition: {kind: burnrate, op: gt, threshold: 5, lookbackWindow: 1h}
---
apiVersion: openslo/v1
kind: AlertNotificationTarget
metadata: {name: duty}
spec: {target: slack}
"""


def objects(*texts: str) -> tuple[AnyObject, ...]:
    checked = check([(f"{at}.yaml", text) for at, text in enumerate(texts)])
    assert not checked.problems
    return checked.objects


def test_each_workflow_has_versions_of_its_own() -> None:
    both = objects(service() + slo(), service("refunds") + slo("refunds-success", workflow="refunds"))
    planned = plan(both, [], "Ada", "launch", 7)
    assert [(v.workflow, v.version, v.by, v.why, v.applied_at) for v in planned.new] == [
        ("claims", 1, "Ada", "launch", 7),
        ("refunds", 1, "Ada", "launch", 7),
    ]
    later = plan(objects(service() + slo(target="0.8")), planned.new, "Bob", "easier", 9)
    assert [(v.workflow, v.version) for v in later.new] == [("claims", 2)]


def test_what_is_stored_reads_back_as_the_same_objectives() -> None:
    text = service() + slo() + SHARED
    (version,) = plan(objects(text), [], "Ada", "launch", 7).new
    assert sorted(read(version).objectives.values(), key=lambda o: o.slo) == sorted(
        check([("", text)]).objectives, key=lambda o: o.slo
    )


def test_what_an_slo_refers_to_is_stored_with_it_and_nothing_else() -> None:
    kept = [(each.kind, each.metadata.name) for each in documents_of("claims", objects(service() + slo() + SHARED))]
    assert kept == [
        ("Service", "claims"),
        ("SLO", "shared"),
        ("SLO", "success"),
        ("AlertCondition", "fast"),
        ("AlertNotificationTarget", "duty"),
        ("AlertPolicy", "burning"),
        ("DataSource", "here"),
        ("SLI", "overrides"),
    ]


def test_applying_the_same_again_from_other_files_in_another_order_changes_nothing() -> None:
    first = plan(objects(service() + slo("a") + slo("b")), [], "Ada", "launch", 7)
    again = plan(objects(slo("b"), "# a comment\n" + slo("a"), service()), first.new, "Bob", "again", 9)
    assert (again.new, again.unchanged) == ((), ("claims",))


def test_slos_that_are_not_in_the_files_any_more_are_told() -> None:
    first = plan(objects(service() + slo("a") + slo("b")), [], "Ada", "launch", 7)
    assert plan(objects(service() + slo("b")), first.new, "Ada", "less", 9).dropped == {"claims": ["a"]}


@pytest.mark.parametrize(("by", "why"), [("", "launch"), ("Ada", " ")])
def test_a_commitment_needs_a_person_and_a_reason(by: str, why: str) -> None:
    with pytest.raises(ValueError, match="--by NAME and --why TEXT"):
        plan(objects(service() + slo()), [], by, why, 7)
