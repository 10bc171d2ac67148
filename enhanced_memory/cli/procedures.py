"""Commands that run code and read talk: run, skills and extract.

Above it lies the program; below it the session, which asks the daemon, and output, which prints. Code runs in the
daemon's sandbox, never here.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

import click

from enhanced_memory.cli import output
from enhanced_memory.cli.session import Command, Failed, Group, Session, examples, file_trouble

FILE: Final = click.argument("file", metavar="FILE|-", type=click.Path(exists=True, dir_okay=False, allow_dash=True))


def text_of(file: str) -> str:
    """What a file or standard input says. Raises: Failed: it cannot be read, or is not UTF-8."""
    try:
        if file == "-":
            return sys.stdin.buffer.read().decode()
        with open(file, "rb") as stream:
            return stream.read().decode("utf-8-sig")
    except OSError as error:
        raise file_trouble(error, file) from error
    except UnicodeDecodeError as error:
        sentence = f"{click.format_filename(file)} is not UTF-8"
        raise Failed({"success": False, "error": sentence, "code": "file_error"}) from error


def values(pairs: tuple[str, ...]) -> dict[str, Any]:
    """KEY=VALUE as a dict; a value that is JSON counts as what it spells, any other as text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not (key and equals):
            raise click.UsageError(f"{pair!r} is not KEY=VALUE")
        try:
            found[key] = json.loads(text)
        except (ValueError, RecursionError):
            found[key] = text
    return found


@click.command(
    "run",
    cls=Command,
    short_help="Run Python over the memories, in the daemon's sandbox.",
    epilog=examples(
        ("echo 'result = len(search_nodes(\"tea\"))' | enhanced-memory run -", "how many memories speak of tea"),
        ("enhanced-memory run count.py --var word=tea --read-only", "a file, with a variable, changing nothing"),
    ),
)
@FILE
@click.option("--var", "variables", metavar="KEY=VALUE", multiple=True, help="A variable of the code; JSON or text.")
@click.option("--read-only", is_flag=True, help="Let it change nothing.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.1, 30), help="Seconds it may take (30).")
@click.pass_obj
def run_command(
    session: Session, file: str, variables: tuple[str, ...], read_only: bool, timeout_s: float | None
) -> None:
    """Run the Python in FILE. It prints what it prints, and then the value of its variable `result`, as JSON."""
    asked = {
        "code": text_of(file),
        "context_vars": values(variables) or None,
        "read_only": read_only or None,
        "timeout_s": timeout_s,
    }
    _outcome(session, _ran(session, "execute_code", asked))


def _ran(session: Session, method: str, asked: dict[str, Any]) -> dict[str, Any]:
    """The reply to executed code; what failing code had printed is printed all the same. Raises: Failed."""
    try:
        return session.ask(method, asked)
    except Failed as failed:
        details = failed.reply.get("details")
        if not session.json and isinstance(details, dict):
            for line in str(details.get("stdout", "")).splitlines():
                print(output.visible(line))
            sys.stdout.flush()  # before the error, which goes elsewhere
        raise


def _outcome(session: Session, reply: dict[str, Any]) -> None:
    """What executed code printed, and its result."""
    if session.json:
        output.json_line(reply)
        return
    for line in reply["stdout"].splitlines():
        print(output.visible(line))
    if reply["result"] is not None:
        if output.at_terminal():
            output.pretty_json(reply["result"])
        else:
            print(json.dumps(reply["result"], ensure_ascii=False))


@click.group(
    "skills",
    cls=Group,
    invoke_without_command=True,
    short_help="Keep and run procedures.",
    epilog=examples(
        ("enhanced-memory skills", "all, with how their runs went"),
        ("enhanced-memory skills save count count.py --description 'counts a word'", "keep a file under a name"),
        ("enhanced-memory skills run count word=tea", "run it"),
        ("enhanced-memory skills show count", "its code"),
    ),
)
@click.pass_context
def skills_command(context: click.Context) -> None:
    """Procedures that are kept under a name, in versions; without a further word they are listed."""
    if context.invoked_subcommand is None:
        context.invoke(list_command)


@skills_command.command(
    "list", cls=Command, epilog=examples(("enhanced-memory skills list --tag report", "those of one tag"))
)
@click.option("--tag", metavar="NAME", help="Only those with this tag.")
@click.option("--limit", type=click.IntRange(1), help="Most to show (50).")
@click.option("--cursor", metavar="TEXT", help="Where the page before ended.")
@click.pass_obj
def list_command(session: Session, tag: str | None = None, limit: int | None = None, cursor: str | None = None) -> None:
    """List skills by name, each in its newest version."""
    reply = session.ask("list_skills", {"tag": tag, "limit": limit, "cursor": cursor})
    rows = [
        (
            each["name"],
            each["version"],
            each["run_count"],
            "" if each["success_rate"] is None else f"{each['success_rate']:.0%}",
            "" if each["mean_ms"] is None else f"{each['mean_ms']:,.1f}",
            each["description"],
        )
        for each in reply["skills"]
    ]
    output.answer(session.json, reply, ("Skill", ">Version", ">Runs", ">Well", ">ms", "What it does"), rows)
    if session.json:
        return
    if not rows:
        output.note("No skills are kept.")
    elif reply["next_cursor"] is not None:
        output.more_behind(reply["next_cursor"])


@skills_command.command(
    "save", cls=Command, epilog=examples(("enhanced-memory skills save count count.py -d 'counts a word'", "keep it"))
)
@click.argument("name")
@FILE
@click.option("-d", "--description", required=True, metavar="TEXT", help="What it does, in a sentence.")
@click.option("--tag", "tags", metavar="NAME", multiple=True, help="A tag; may be repeated.")
@click.pass_obj
def save_command(session: Session, name: str, file: str, description: str, tags: tuple[str, ...]) -> None:
    """Keep the Python in FILE as the skill NAME; a skill of that name gets a new version."""
    asked = {"name": name, "code": text_of(file), "description": description, "tags": list(tags)}
    reply = session.ask("save_skill", asked)
    if session.json:
        output.json_line(reply)
    else:
        output.lines([(reply["action"], reply["name"], reply["version"])])


@skills_command.command(
    "run", cls=Command, epilog=examples(("enhanced-memory skills run count word=tea", "with an argument"))
)
@click.argument("name")
@click.argument("arguments", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.1, 30), help="Seconds it may take (30).")
@click.pass_obj
def run_skill_command(session: Session, name: str, arguments: tuple[str, ...], timeout_s: float | None) -> None:
    """Run the skill NAME with these arguments, each JSON or text."""
    asked = {"name": name, "args": values(arguments) or None, "timeout_s": timeout_s}
    _outcome(session, _ran(session, "run_skill", asked))


@skills_command.command(
    "show", cls=Command, epilog=examples(("enhanced-memory skills show count > count.py", "to change it"))
)
@click.argument("name")
@click.pass_obj
def show_command(session: Session, name: str) -> None:
    """Print the code of the skill NAME."""
    reply = session.ask("list_skills", {"name": name, "limit": 1})
    if session.json:
        output.json_line(reply)
        return
    if not reply["skills"]:
        raise Failed({"success": False, "error": f"there is no skill {name!r}", "code": "not_found"})
    for line in reply["skills"][0]["code"].splitlines():
        print(output.visible(line))


@skills_command.command(
    "delete", cls=Command, epilog=examples(("enhanced-memory skills delete count", "with all its versions"))
)
@click.argument("name")
@click.pass_obj
def delete_command(session: Session, name: str) -> None:
    """Take the skill NAME away, with all its versions."""
    reply = session.ask("delete_skill", {"name": name})
    if session.json:
        output.json_line(reply)
    else:
        output.lines([("deleted", reply["deleted"], reply["versions"])])


def _became(reply: dict[str, Any]) -> str:
    """What became of the facts that were found."""
    found = f"{reply['count']:,} {'fact' if reply['count'] == 1 else 'facts'}"
    known = reply.get("known_count", 0)
    if not reply["stored"]:
        return f"{found} found, and nothing was remembered."
    if not known:
        return f"{found} remembered."
    if known == reply["count"]:
        return f"{found} found, and nothing new: known already."
    return f"{found} found: {reply['new_count']:,} new and remembered, {known:,} known already."


@click.command(
    "extract",
    cls=Command,
    short_help="Remember what a conversation states.",
    epilog=examples(
        ("enhanced-memory extract talk.txt", "preferences, decisions, plans, events"),
        ("enhanced-memory extract --dry-run - < talk.txt", "only show them"),
        ("enhanced-memory extract talk.txt --session monday", "a second call adds to the same session"),
    ),
)
@FILE
@click.option("--session", "session_id", metavar="ID", help="Which conversation it is.")
@click.option("--threshold", type=click.FloatRange(0, 1), help="Least confidence; higher keeps fewer (0.5).")
@click.option("--dry-run", is_flag=True, help="Show the facts, remember nothing.")
@click.pass_obj
def extract_command(
    session: Session, file: str, session_id: str | None, threshold: float | None, dry_run: bool
) -> None:
    """Find the lasting facts of the conversation in FILE, best with speakers (`Ann: hi`), and remember them."""
    asked = {
        "conversation_text": text_of(file),
        "session_id": session_id,
        "threshold": threshold,
        "auto_store": False if dry_run else None,
    }
    reply = session.ask("auto_extract_facts", asked)
    rows = [
        (each["kind"], f"{each['confidence']:.2f}", each["line"], text)
        for entity in reply["facts"]
        for text, each in zip(entity["observations"], entity["evidence"], strict=True)
    ]
    output.answer(session.json, reply, ("Kind", ">Sure", ">Line", "Fact"), rows)
    if not session.json:
        output.note(_became(reply))
        if masked := sum(reply["secrets"].values()):
            sentence = f"{output.counted(masked, 'secret was', 'secrets were')} masked"
            output.note(f"{sentence}: {', '.join(reply['secrets'])}.")
