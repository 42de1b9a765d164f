"""The objects of OpenSLO v1 (apiVersion `openslo/v1`), as the specification and its Go SDK accept them."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator
from pydantic.alias_generators import to_camel

from pipeline.slo.durations import parse_duration

API_VERSION = "openslo/v1"


def _number(value: object) -> object:
    return Decimal(value) if type(value) is int else value


def _duration(text: str) -> str:
    parse_duration(text)
    return text


def _slice_window(value: object) -> str | int:
    """A duration, or a number of minutes."""
    if isinstance(value, str):
        return _duration(value)
    if type(value) is int and value > 0:
        return value
    raise ValueError(f"{value!r} is not a duration: write 5m, or a positive number of minutes")


def _delay(text: str) -> str:
    return text if text == "0m" else _duration(text)


Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
Text = Annotated[str, Field(max_length=1050)]
Number = Annotated[Decimal, BeforeValidator(_number)]
DurationText = Annotated[str, AfterValidator(_duration)]
LabelKey = Annotated[str, Field(pattern=r"^[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$")]
_DNS = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
AnnotationKey = Annotated[
    str, Field(pattern=rf"^({_DNS}(\.{_DNS})*/)?[a-zA-Z0-9]([-._a-zA-Z0-9]{{0,61}}[a-zA-Z0-9])?$", max_length=317)
]
Operator = Literal["lte", "gte", "lt", "gt"]


class OpenSLOModel(BaseModel):
    """Strict: no unknown fields, no conversion between types; field names are camelCase in YAML."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_camel)


class Metadata(OpenSLOModel):
    name: Name
    display_name: Annotated[str, Field(max_length=63)] | None = None
    labels: dict[LabelKey, str | list[str]] = {}
    annotations: dict[AnnotationKey, str] = {}


class MetricSource(OpenSLOModel):
    metric_source_ref: Name | None = None
    type: str | None = None
    spec: Annotated[dict[str, Any], Field(min_length=1)]


class MetricSpec(OpenSLOModel):
    metric_source: MetricSource


class RatioMetric(OpenSLOModel):
    """Either `total` with one of `good` and `bad`, or `raw` with `rawType`."""

    counter: bool | None = None
    good: MetricSpec | None = None
    bad: MetricSpec | None = None
    total: MetricSpec | None = None
    raw_type: Literal["success", "failure"] | None = None
    raw: MetricSpec | None = None


class SLISpec(OpenSLOModel):
    description: Text | None = None
    threshold_metric: MetricSpec | None = None
    ratio_metric: RatioMetric | None = None


class InlineSLI(OpenSLOModel):
    metadata: Metadata
    spec: SLISpec


class Calendar(OpenSLOModel):
    start_time: str
    time_zone: str


class TimeWindow(OpenSLOModel):
    duration: DurationText
    is_rolling: bool | None = None
    calendar: Calendar | None = None


class ObjectiveSpec(OpenSLOModel):
    """`op` and `value` belong to threshold metrics, the slice fields to the time-slice methods."""

    display_name: str | None = None
    op: Operator | None = None
    value: Number | None = None
    target: Annotated[Number, Field(ge=0, lt=1)] | None = None
    target_percent: Annotated[Number, Field(ge=0, lt=100)] | None = None
    time_slice_target: Annotated[Number, Field(gt=0, le=1)] | None = None
    time_slice_window: Annotated[str | int, PlainValidator(_slice_window)] | None = None
    indicator: InlineSLI | None = None
    indicator_ref: Name | None = None
    composite_weight: Annotated[Number, Field(gt=0)] | None = None


class BurnCondition(OpenSLOModel):
    kind: Literal["burnrate"]
    op: Operator
    threshold: Number
    lookback_window: DurationText
    alert_after: Annotated[str, AfterValidator(_delay)] | None = None


class AlertConditionSpec(OpenSLOModel):
    description: Text | None = None
    severity: Annotated[str, Field(min_length=1)]
    condition: BurnCondition


class ConditionItem(OpenSLOModel):
    """A `conditionRef`, or an AlertCondition inline."""

    condition_ref: Name | None = None
    kind: Literal["AlertCondition"] | None = None
    metadata: Metadata | None = None
    spec: AlertConditionSpec | None = None


class TargetSpec(OpenSLOModel):
    description: Text | None = None
    target: Annotated[str, Field(min_length=1)]


class TargetItem(OpenSLOModel):
    """A `targetRef`, or an AlertNotificationTarget inline."""

    target_ref: Name | None = None
    kind: Literal["AlertNotificationTarget"] | None = None
    metadata: Metadata | None = None
    spec: TargetSpec | None = None


class AlertPolicySpec(OpenSLOModel):
    """The specification gives `alertWhen...` no defaults; these are ours."""

    description: Text | None = None
    alert_when_no_data: bool = False
    alert_when_breaching: bool = True
    alert_when_resolved: bool = True
    conditions: Annotated[list[ConditionItem], Field(min_length=1, max_length=1)]
    notification_targets: Annotated[list[TargetItem], Field(min_length=1)]


class PolicyItem(OpenSLOModel):
    """An `alertPolicyRef`, or an AlertPolicy inline."""

    alert_policy_ref: Name | None = None
    kind: Literal["AlertPolicy"] | None = None
    metadata: Metadata | None = None
    spec: AlertPolicySpec | None = None


class SLOSpec(OpenSLOModel):
    description: Text | None = None
    service: Annotated[str, Field(min_length=1)]
    indicator: InlineSLI | None = None
    indicator_ref: Name | None = None
    time_window: Annotated[list[TimeWindow], Field(min_length=1, max_length=1)] | None = None
    budgeting_method: Literal["Occurrences", "Timeslices", "RatioTimeslices"]
    objectives: Annotated[list[ObjectiveSpec], Field(min_length=1)]
    alert_policies: list[PolicyItem] = []


class ServiceSpec(OpenSLOModel):
    description: Text | None = None


class DataSourceSpec(OpenSLOModel):
    description: Text | None = None
    type: Annotated[str, Field(min_length=1)]
    connection_details: Any


class OpenSLOObject(OpenSLOModel):
    """What all kinds have in common."""

    api_version: Literal["openslo/v1"]
    metadata: Metadata


class SLO(OpenSLOObject):
    kind: Literal["SLO"]
    spec: SLOSpec


class SLI(OpenSLOObject):
    kind: Literal["SLI"]
    spec: SLISpec


class Service(OpenSLOObject):
    kind: Literal["Service"]
    spec: ServiceSpec | None = None


class DataSource(OpenSLOObject):
    kind: Literal["DataSource"]
    spec: DataSourceSpec


class AlertPolicy(OpenSLOObject):
    kind: Literal["AlertPolicy"]
    spec: AlertPolicySpec


class AlertCondition(OpenSLOObject):
    kind: Literal["AlertCondition"]
    spec: AlertConditionSpec


class AlertNotificationTarget(OpenSLOObject):
    kind: Literal["AlertNotificationTarget"]
    spec: TargetSpec


AnyObject = SLO | SLI | Service | DataSource | AlertPolicy | AlertCondition | AlertNotificationTarget

KINDS: dict[str, type[AnyObject]] = {
    "SLO": SLO,
    "SLI": SLI,
    "Service": Service,
    "DataSource": DataSource,
    "AlertPolicy": AlertPolicy,
    "AlertCondition": AlertCondition,
    "AlertNotificationTarget": AlertNotificationTarget,
}
