"""Which metric an OpenSLO indicator reads: `type: trueup`, with the metric's name in the `spec` of its source."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.slo.explain import nearest
from pipeline.slo.metrics import METRICS, NOT_OF_TASKS, Kind, Metric
from pipeline.slo.openslo import DataSourceSpec, MetricSource, RatioMetric, SLISpec
from pipeline.slo.source import Findings, Path

SOURCE_TYPE = "trueup"
CATEGORIES = ("engineering", "human", "model", "operations", "tool")


@dataclass(frozen=True, slots=True)
class Indicator:
    """A metric of the catalogue; `category` is that of `cost_per_task`, or the evaluator of `quality_score`."""

    metric: Metric
    category: str | None = None


def read_indicator(
    sli: SLISpec, path: Path, data_sources: Mapping[str, DataSourceSpec], findings: Findings
) -> Indicator | None:
    """The indicator that an SLI describes; None if anything is wrong with it. `path` leads to the SLI's spec."""
    before = len(findings.problems)
    reader = _Reader(data_sources, findings)
    indicator = None
    if sli.ratio_metric is not None and sli.threshold_metric is None:
        indicator = reader.rate(sli.ratio_metric, (*path, "ratioMetric"))
    elif sli.threshold_metric is not None and sli.ratio_metric is None:
        indicator = reader.cap(sli.threshold_metric.metric_source, (*path, "thresholdMetric", "metricSource"))
    else:
        findings.report(path, "an indicator has one of ratioMetric and thresholdMetric", "keep the one that fits")
    return indicator if len(findings.problems) == before else None


@dataclass(frozen=True, slots=True)
class _Reader:
    data_sources: Mapping[str, DataSourceSpec]
    findings: Findings

    def rate(self, ratio: RatioMetric, path: Path) -> Indicator | None:
        """A rate: the numerator as `good` or `bad`, whichever it is, and the denominator as `total`."""
        if ratio.raw is not None or ratio.raw_type is not None:
            self.findings.report((*path, "raw"), "a ready-made ratio cannot be added up", "use total with good or bad")
            return None
        if ratio.total is None or (ratio.good is None) == (ratio.bad is None):
            self.findings.report(path, "a ratioMetric has total and one of good and bad", "give exactly these two")
            return None
        side = "good" if ratio.good else "bad"
        numerator = (ratio.good or ratio.bad or ratio.total).metric_source
        top = self._metric(numerator, (*path, side, "metricSource"), "numerator", Kind.RATE)
        total = self._metric(ratio.total.metric_source, (*path, "total", "metricSource"), "denominator", Kind.RATE)
        if top is None or total is None:
            return None
        if top is not total:
            what = f"{side} counts {top.name}, but total counts {total.name}"
            self.findings.report(
                (*path, "total", "metricSource", "spec", "metric"), what, f"write `metric: {top.name}`"
            )
        right = "good" if top.numerator_is_good else "bad"
        if side != right:
            better = "higher" if top.numerator_is_good else "lower"
            what = f"of {top.name}, {better} is better: its numerator counts {right} events"
            self.findings.report((*path, side), what, f"rename `{side}:` to `{right}:`")
        return Indicator(top)

    def cap(self, source: MetricSource, path: Path) -> Indicator | None:
        """A cap: each task's value is compared with the objective's."""
        metric = self._metric(source, path, None, Kind.CAP)
        category, evaluator = source.spec.get("category"), source.spec.get("evaluator")
        if metric is not None and metric.name == "quality_score":
            if not isinstance(evaluator, str) or not evaluator:
                what = "quality_score is a score by some evaluator, and evaluator is missing"
                self.findings.report((*path, "spec", "evaluator"), what, "add `evaluator:`, as its events name it")
        elif evaluator is not None:
            self.findings.report((*path, "spec", "evaluator"), "only scores have an evaluator", "remove `evaluator:`")
        if metric is not None and category is not None:
            if metric.name != "cost_per_task":
                what = f"{metric.name} has no categories"
                self.findings.report((*path, "spec", "category"), what, "remove `category:`")
            elif category not in CATEGORIES:
                what = f"{category!r} is not a category of cost"
                self.findings.report((*path, "spec", "category"), what, nearest(str(category), CATEGORIES))
        return Indicator(metric, category or evaluator) if metric else None

    def _metric(self, source: MetricSource, path: Path, part: str | None, kind: Kind) -> Metric | None:
        if not self._is_ours(source, path):
            return None
        allowed = ("metric", "part") if part else ("metric", "category", "evaluator")
        for key in source.spec:
            if key not in allowed:
                self.findings.report((*path, "spec", key), f"{key!r} is not understood here", nearest(key, allowed))
        if part and source.spec.get("part") != part:
            given = source.spec.get("part")
            what = f"part is {given!r}" if "part" in source.spec else "part is missing"
            self.findings.report(
                (*path, "spec", "part"), f"{what}, but this counts the {part}", f"write `part: {part}`"
            )
        return self._named(source.spec.get("metric"), (*path, "spec", "metric"), kind)

    def _named(self, name: Any, path: Path, kind: Kind) -> Metric | None:
        metric = METRICS.get(name) if isinstance(name, str) else None
        if isinstance(name, str) and name in NOT_OF_TASKS:
            why, fix = NOT_OF_TASKS[name]
            self.findings.report(path, f"{name} {why}", fix)
        elif metric is None:
            what = "the metric's name is missing" if name is None else f"there is no metric {name!r}"
            self.findings.report(path, what, nearest(str(name), (m.name for m in METRICS.values() if m.kind is kind)))
        elif metric.kind is not kind:
            what, fix = (
                (f"{name} is a value for each task, not a ratio", "use thresholdMetric, with op and value")
                if kind is Kind.RATE
                else (f"{name} is a ratio, not a value for each task", "use ratioMetric, with total and good or bad")
            )
            self.findings.report(path, what, fix)
            return None
        return metric

    def _is_ours(self, source: MetricSource, path: Path) -> bool:
        found, place = source.type, "type"
        if source.metric_source_ref is not None:
            data_source = self.data_sources.get(source.metric_source_ref)
            if data_source is None:
                what = f"there is no DataSource {source.metric_source_ref!r}"
                self.findings.report((*path, "metricSourceRef"), what, "define it, or write `type: trueup` instead")
                return False
            if found is None:
                found, place = data_source.type, "metricSourceRef"
        if found != SOURCE_TYPE:
            what = f"the metric source is of type {found!r}" if found else "the type of the metric source is missing"
            self.findings.report(
                (*path, place), what, f"write `type: {SOURCE_TYPE}`: only its own metrics can be measured"
            )
        return found == SOURCE_TYPE
