"""Every use case there is, in one parcel: what a gateway is given."""

from dataclasses import dataclass

from nightcrew.services.agents import AgentService
from nightcrew.services.apply import ApplyService
from nightcrew.services.backfills import BackfillService
from nightcrew.services.bulk import BulkService
from nightcrew.services.deliveries import DeliveryService
from nightcrew.services.events import EventService
from nightcrew.services.executions import ExecutionService
from nightcrew.services.logs import LogService
from nightcrew.services.programs import ProgramService
from nightcrew.services.runtime import RuntimeService
from nightcrew.services.schedules import ScheduleService
from nightcrew.services.signal_urls import SignalUrlService
from nightcrew.services.skips import SkipService
from nightcrew.services.status import StatusService
from nightcrew.services.steps import StepService
from nightcrew.services.watch import WatchService
from nightcrew.services.webhooks import WebhookService


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    """The use cases, for a gateway or a test."""

    agents: AgentService
    apply: ApplyService
    backfills: BackfillService
    bulk: BulkService
    deliveries: DeliveryService
    events: EventService
    executions: ExecutionService
    logs: LogService
    programs: ProgramService
    schedules: ScheduleService
    signal_urls: SignalUrlService
    skips: SkipService
    status: StatusService
    steps: StepService
    watch: WatchService
    webhooks: WebhookService
    runtime: RuntimeService
