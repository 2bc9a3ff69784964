"""Programs by the name that a caller knows: a flow, an entrypoint, or an agent that runs one."""

from collections.abc import Iterator

from pydantic import ValidationError

from nightcrew.crew.registry import Registry
from nightcrew.domain.errors import NotFound
from nightcrew.domain.spec.program import LangflowProgram, Program, PythonProgram
from nightcrew.ports.reads import Reads
from nightcrew.programs.flows import program_of_flow


class ProgramService:
    """Looks programs up among what `up` was given and what agents run."""

    def __init__(self, *, registry: Registry, reads: Reads) -> None:
        self._registry = registry
        self._reads = reads

    async def named(self, name: str) -> Program:
        """The program of a name.

        Args:
            name: A flow's (its file's stem) or the id in its file, `package.module:object`, or an agent's id.

        Raises:
            NotFound: Nothing is named so.
        """
        for program in self._given(name):
            if self._registry.find(program) is not None:
                return program
        agent = await self._reads.agent(name)
        if agent is None:
            raise NotFound("flow", name)
        return agent.spec.program

    def _given(self, name: str) -> Iterator[Program]:
        """What `up` may have been given under the name."""
        if ":" in name:
            try:
                yield Program(python=PythonProgram(entrypoint=name))
            except ValidationError:
                return  # no entrypoint is written like this
        for flow_name in self._registry.names("langflow"):
            flow = self._registry.flow(Program(langflow=LangflowProgram(flow=flow_name)))
            if name in (flow_name, flow.get("id")):  # an id in a file may be anything, also unhashable
                yield program_of_flow(flow_name, flow)
