"""A language model for extraction, where the user gives one: Anthropic's, by the extra `anthropic` and a key.

Above it lies the dispatcher, which hands its `answer` to the operations; below it only the library, which is loaded
when the first question is asked. Nothing is asked of it but what a caller asks with extractor llm.
"""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from enhanced_memory.errors import ModelFailed

if TYPE_CHECKING:
    import anthropic

KEY: Final = "ANTHROPIC_API_KEY"
"""The environment variable with the key, as the library knows it."""

_SHARE: Final = 0.9
"""How much of an operation's time the model may take; the rest is for storing."""


def open_model(name: str, timeout_s: float) -> Callable[[str, str, int], str] | None:
    """A function that asks the model `name`, or None where the extra or the key is missing.

    `timeout_s`: seconds an operation may take.
    """
    if not os.environ.get(KEY) or importlib.util.find_spec("anthropic") is None:
        return None
    return AnthropicModel(name, timeout_s * _SHARE).answer


class AnthropicModel:
    """One of Anthropic's models. Safe for many threads."""

    def __init__(self, name: str, timeout_s: float) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._client: anthropic.Anthropic | None = None

    def answer(self, system: str, prompt: str, max_tokens: int) -> str:
        """What the model answers to its instructions and a prompt, in text.

        Raises: ModelFailed: it cannot be reached, refuses the key, is overloaded, or answered without an end.
        """
        import anthropic

        try:
            message = self._opened().messages.create(
                model=self._name,
                max_tokens=max_tokens,
                system=system,
                messages=[{"role": "user", "content": prompt}],
            )
        except anthropic.APIStatusError as error:
            raise ModelFailed(
                f"the model {self._name} refused with status {error.status_code}", hint=_way_out(error.status_code)
            ) from error
        except anthropic.AnthropicError as error:
            raise ModelFailed(
                f"the model {self._name} could not be asked ({type(error).__name__})",
                hint="check the network, or leave extractor at rules",
            ) from error
        if message.stop_reason == "max_tokens":
            raise ModelFailed(
                f"the model {self._name} had more to say than {max_tokens:,} tokens",
                hint="send the conversation in parts, with the same session_id",
            )
        return "".join(block.text for block in message.content if block.type == "text")

    def _opened(self) -> anthropic.Anthropic:
        import anthropic

        with self._lock:
            if self._client is None:
                self._client = anthropic.Anthropic(timeout=self._timeout_s, max_retries=0)
            return self._client


def _way_out(status: int) -> str:
    if status in (401, 403):
        return f"check {KEY} in the daemon's environment"
    if status == 404:
        return "name another model with MEMORY_LLM_MODEL"
    return "try again in a moment, or leave extractor at rules"
