"""What can be set of the alerter."""

from __future__ import annotations

from pydantic import Field

from pipeline.section import Duration, Section


class AlerterSettings(Section):
    """How objectives and the pipeline itself are watched."""

    every: float = Field(5.0, gt=0, le=60, description="seconds between evaluations")
    port: int = Field(8081, ge=0, le=65535, description="/livez, /readyz, /metrics of the alerter; 0: a free one")
    freeze_after: Duration = Field(
        600, ge=60, description="how far the counts may be behind before alerts freeze: they neither fire nor resolve"
    )
    catch_up: Duration = Field(86_400, ge=60, description="how far back missed minutes are evaluated after a stop")
    retry_after: Duration = Field(
        600, ge=1, description="pause before a notification that a receiver refused is repeated"
    )
    repeat_for: Duration = Field(86_400, ge=60, description="how old a transition may be and still be notified")
    owner: str = Field("", description="who is told of the pipeline's own troubles; a name")
    contact: str = Field("", description="how to reach the platform's owner")
    runbook: str = Field("", description="where the platform's owner reads what to do; a URL")
    console: str = Field("", description="URL of the console: links in notifications lead there")
    health_every: Duration = Field(30, ge=5, description="pause between checks of Kafka, lag, clocks and dead letters")
    audit_every: Duration = Field(3_600, ge=60, description="pause between audits of the last day")
    dead_letters: int = Field(
        0, ge=0, description="open dead letters that are tolerated; what nobody will mend can be discarded"
    )
    silent_after: Duration = Field(86_400, ge=60, description="no events at all for so long is an alert")
