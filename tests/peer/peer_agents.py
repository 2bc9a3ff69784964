"""The peer's AgentService: a dictionary of agents with the contract's states and answers."""
# ruff: noqa: N802 - the contract's names

from google.protobuf.timestamp_pb2 import Timestamp
from peer_script import RefusedError, refuse

from nightcrew.v1 import agent_pb2, agent_service_pb2_grpc, execution_pb2, watch_pb2
from nightcrew.v1 import agent_service_pb2 as rpc

STATE = agent_pb2.Agent
_ALLOWED = {
    "start": ({STATE.STATE_STOPPED, STATE.STATE_ERROR, STATE.STATE_ACTIVE}, STATE.STATE_ACTIVE),
    "stop": (set(STATE.State.values()), STATE.STATE_STOPPED),
    "pause": ({STATE.STATE_ACTIVE, STATE.STATE_PAUSED}, STATE.STATE_PAUSED),
    "resume": ({STATE.STATE_PAUSED, STATE.STATE_ERROR, STATE.STATE_ACTIVE}, STATE.STATE_ACTIVE),
}


def page(rows, request):
    """A page of rows; the token is where the next one begins."""
    if request.page_size < 0:
        refuse(
            "INVALID_ARGUMENT",
            "page_size: must not be negative",
            reason="invalid_argument",
            violations=[("page_size", "must not be negative")],
        )
    size = min(request.page_size or 50, 1000)
    start = int(request.page_token or 0)
    token = str(start + size) if start + size < len(rows) else ""
    return rows[start : start + size], token


class Agents(agent_service_pb2_grpc.AgentServiceServicer):
    def __init__(self, world):
        self.world = world

    def _agent(self, agent_id):
        if agent_id not in self.world.agents:
            refuse(
                "NOT_FOUND",
                f"agent {agent_id!r} does not exist",
                reason="not_found",
                resource=("agent", agent_id),
            )
        return self.world.agents[agent_id]

    async def CreateAgent(self, request, context):
        agent = request.agent
        if agent.id in self.world.agents:
            refuse(
                "ALREADY_EXISTS",
                f"agent {agent.id!r} already exists",
                reason="already_exists",
                resource=("agent", agent.id),
            )
        return rpc.CreateAgentResponse(agent=self.world.put(agent))

    async def GetAgent(self, request, context):
        return rpc.GetAgentResponse(agent=self._agent(request.id))

    async def ListAgents(self, request, context):
        rows, token = page(list(self.world.agents.values()), request)
        return rpc.ListAgentsResponse(agents=rows, next_page_token=token)

    async def UpdateAgent(self, request, context):
        agent = self._agent(request.agent.id)
        if request.agent.etag and request.agent.etag != agent.etag:
            refuse("ABORTED", "the agent was changed by somebody else", reason="etag_mismatch")
        changed = agent_pb2.Agent()
        changed.CopyFrom(agent)
        request.update_mask.MergeMessage(
            request.agent, changed, replace_message_field=True, replace_repeated_field=True
        )
        return rpc.UpdateAgentResponse(agent=self.world.put(changed))

    async def DeleteAgent(self, request, context):
        agent = self._agent(request.id)
        if agent.state != STATE.STATE_STOPPED and not request.force:
            self._refuse_state(agent, {STATE.STATE_STOPPED}, "delete")
        del self.world.agents[request.id]
        if request.force and agent.state == STATE.STATE_ACTIVE:
            return rpc.DeleteAgentResponse(agent=agent)
        return rpc.DeleteAgentResponse()

    async def ApplyAgents(self, request, context):
        changes = []
        for index, agent in enumerate(request.agents):
            for number, trigger in enumerate(agent.spec.triggers):
                if trigger.schedule.cron.expression == "bad":
                    path = f"agents[{index}].spec.triggers[{number}].schedule.cron.expression"
                    refuse(
                        "INVALID_ARGUMENT",
                        f"{path}: is no cron expression",
                        reason="invalid_argument",
                        violations=[(path, "is no cron expression")],
                    )
            old = self.world.agents.get(agent.id)
            if old is None:
                change = rpc.AgentChange(
                    id=agent.id, action=rpc.AgentChange.ACTION_CREATED, diff=f"+id: {agent.id}\n"
                )
            elif old.spec == agent.spec:
                change = rpc.AgentChange(id=agent.id, action=rpc.AgentChange.ACTION_UNCHANGED)
            else:
                change = rpc.AgentChange(
                    id=agent.id, action=rpc.AgentChange.ACTION_UPDATED, diff="-old: [1]\n+new: [2]\n"
                )
            changes.append(change)
        given = {agent.id for agent in request.agents}
        gone = [
            one.id
            for one in self.world.agents.values()
            if request.prune_selector and one.id not in given and _has(one, request.prune_selector)
        ]
        changes += (
            rpc.AgentChange(id=one, action=rpc.AgentChange.ACTION_DELETED, diff=f"-id: {one}\n")
            for one in gone
        )
        if not request.validate_only:
            for agent in request.agents:
                self.world.put(agent)
            for one in gone:
                del self.world.agents[one]
        return rpc.ApplyAgentsResponse(changes=changes)

    async def StartAgent(self, request, context):
        return self._lifecycle("start", request, rpc.StartAgentResponse)

    async def StopAgent(self, request, context):
        return self._lifecycle("stop", request, rpc.StopAgentResponse)

    async def PauseAgent(self, request, context):
        return self._lifecycle("pause", request, rpc.PauseAgentResponse)

    async def ResumeAgent(self, request, context):
        return self._lifecycle("resume", request, rpc.ResumeAgentResponse)

    def _lifecycle(self, command, request, response):
        if request.id:
            return response(agent=self._move(command, self._agent(request.id), request.reason))
        results = []
        for agent in [one for one in self.world.agents.values() if _has(one, request.selector)]:
            try:
                moved = self._move(command, agent, request.reason)
                results.append(rpc.LifecycleResult(id=agent.id, agent=moved))
            except RefusedError as error:
                results.append(rpc.LifecycleResult(id=agent.id, error=self.world.as_error(error)))
        return response(results=results)

    def _move(self, command, agent, reason):
        allowed, target = _ALLOWED[command]
        if agent.state not in allowed:
            self._refuse_state(agent, allowed, command)
        agent.state = target
        agent.state_reason = reason
        return agent

    @staticmethod
    def _refuse_state(agent, allowed, command):
        names = sorted(STATE.State.Name(one) for one in allowed)
        state = STATE.State.Name(agent.state)
        refuse(
            "FAILED_PRECONDITION",
            f"agent {agent.id!r} is {state}: cannot {command} it",
            reason="failed_precondition",
            metadata={"state": state, "allowed_states": ",".join(names)},
        )

    async def TriggerAgent(self, request, context):
        return rpc.TriggerAgentResponse(execution=await self._trigger(request))

    async def _trigger(self, request):
        known = self.world.answered.get(request.request_id)
        if known is not None:
            return known
        agent = self._agent(request.id)
        if agent.state not in {STATE.STATE_ACTIVE, STATE.STATE_PAUSED}:
            self._refuse_state(agent, {STATE.STATE_ACTIVE, STATE.STATE_PAUSED}, "trigger")
        ended = execution_pb2.Execution.STATE_SUCCEEDED if request.HasField("wait") else None
        execution = self.world.new_execution(agent.id, request, ended)
        self.world.answered[request.request_id] = execution
        return execution

    async def BatchTriggerAgents(self, request, context):
        results = []
        for one in request.requests:
            try:
                results.append(rpc.BatchTriggerResult(execution=await self._trigger(one)))
            except RefusedError as error:
                results.append(rpc.BatchTriggerResult(error=self.world.as_error(error)))
        return rpc.BatchTriggerAgentsResponse(results=results)

    async def GetAgentStatus(self, request, context):
        agent = self._agent(request.id)
        return rpc.GetAgentStatusResponse(
            status=agent.status, state=agent.state, state_reason=agent.state_reason
        )

    async def WatchAgents(self, request, context):
        log = self.world.log
        cursor = log.position(request.resume_token)
        first = ()
        if cursor is None:
            cursor = log.last
            if request.include_snapshot:
                first = self._snapshot(request, cursor)
        async for response in log.follow(
            cursor,
            response=rpc.WatchAgentsResponse,
            item=rpc.WatchAgentsItem,
            first=first,
            matches=lambda event: event.agent_id and (not request.ids or event.agent_id in request.ids),
        ):
            yield response

    def _snapshot(self, request, cursor):
        found = [one for one in self.world.agents.values() if not request.ids or one.id in request.ids]
        if not found:
            return (([rpc.WatchAgentsItem(snapshot=watch_pb2.AgentSnapshot(last=True))], cursor),)
        size = self.world.log.per_response
        shown = [
            rpc.WatchAgentsItem(snapshot=watch_pb2.AgentSnapshot(agent=one, last=one is found[-1]))
            for one in found
        ]
        return tuple((shown[at : at + size], cursor) for at in range(0, len(shown), size))


def _has(agent, selector):
    return all(agent.labels.get(key) == value for key, value in selector.items())


def now(seconds=0):
    return Timestamp(seconds=1_700_000_000 + seconds, nanos=123_456_000)
