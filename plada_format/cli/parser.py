"""argparse in plada's manner: one-line errors, exact option names, and ``--config`` files that flags override."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

from ..errors import UserError
from .exits import Exit
from .text import printable


class Parser(argparse.ArgumentParser):
    """An :class:`argparse.ArgumentParser` whose errors are one line and whose options cannot be abbreviated."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # argparse has no public type for its arguments
        self.hint = ""

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with the code for wrong usage."""
        text = printable(" ".join(message.split()))
        print(f"plada: error: {text}{self.hint} (see '{self.prog} --help')", file=sys.stderr)
        raise SystemExit(int(Exit.USAGE))


def subcommands(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """The subparsers of ``parser`` by name; empty where it has none."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices
    return {}


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Every parser below ``parser`` that has no subcommands of its own."""
    for child in subcommands(parser).values():
        if subcommands(child):
            yield from leaves(child)
        else:
            yield child


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """Give every command ``--config FILE``, except where a part has an option of that name."""
    for leaf in leaves(parser):
        if "--config" not in leaf._option_string_actions:
            leaf.add_argument(
                "--config",
                metavar="FILE",
                dest="config_file",
                help="JSON or YAML file with defaults for these options; flags win",
            )


def with_config(parser: argparse.ArgumentParser, argv: Sequence[str]) -> list[str]:
    """``argv`` with the options of its ``--config`` file put before the user's own, so that argparse checks both alike.

    The file holds option names (``max-kept`` or ``max_kept``) and values, at its top level or under the command's name.

    Raises:
        UserError: the file cannot be read as a mapping, or names an option that the command does not have.
    """
    leaf, start = _leaf(parser, argv)
    own = list(argv[start:])
    if not any(action.dest == "config_file" for action in leaf._actions):
        return list(argv)
    path = _config_path(own)
    if path is None:
        return list(argv)
    settings = _settings_for(leaf, parser, _load(path), path)
    given = {action.dest for action in _options_given(leaf, own)}
    rivals = {
        action.dest: {other.dest for other in group._group_actions if other is not action}
        for group in leaf._mutually_exclusive_groups
        for action in group._group_actions
    }
    injected: list[str] = []
    for action, value in settings:
        lists = isinstance(action, argparse._AppendAction)
        if (action.dest in given and not lists) or rivals.get(action.dest, set()) & given:
            continue
        injected += _as_arguments(leaf, action, value, path)
    return [*argv[:start], *injected, *own]


def _leaf(parser: argparse.ArgumentParser, argv: Sequence[str]) -> tuple[argparse.ArgumentParser, int]:
    """The command's parser and where its own arguments start."""
    position = 0
    while children := subcommands(parser):
        while position < len(argv) and argv[position].startswith("-"):
            position += 1
        if position == len(argv) or argv[position] not in children:
            break
        parser = children[argv[position]]
        position += 1
    return parser, position


def _config_path(own: Sequence[str]) -> str | None:
    path = None
    for position, argument in enumerate(own):
        if argument == "--":
            break
        if argument.startswith("--config="):
            path = argument.partition("=")[2]
        elif argument == "--config" and position + 1 < len(own):
            path = own[position + 1]
    return path


def _options_given(leaf: argparse.ArgumentParser, own: Sequence[str]) -> Iterator[argparse.Action]:
    for argument in own:
        if argument == "--":
            return
        action = leaf._option_string_actions.get(argument.partition("=")[0])
        if action is not None:
            yield action


def _load(path: str) -> Mapping[str, object]:
    with open(path, encoding="utf-8") as file:
        try:
            text = file.read()
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: no UTF-8 text ({error.reason} at byte {error.start})") from None
    if path.endswith(".json") or text.lstrip().startswith("{"):
        try:
            content = json.loads(text)
        except ValueError as error:
            raise UserError(f"{path}: no valid JSON ({error})") from None
    else:
        content = _yaml(text, path)
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError(f"{path}: expected option names with values, found {type(content).__name__}")
    return content


def _yaml(text: str, path: str) -> object:
    try:
        import yaml
    except ModuleNotFoundError:
        raise UserError(f"{path}: YAML needs PyYAML (pip install PyYAML); JSON works without it") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: no valid YAML ({' '.join(str(error).split())})") from None


def _settings_for(
    leaf: argparse.ArgumentParser, parser: argparse.ArgumentParser, content: Mapping[str, object], path: str
) -> list[tuple[argparse.Action, object]]:
    """Top-level options, then those under the command's name; sections of other commands are left alone."""
    command = leaf.prog.removeprefix(parser.prog).strip()
    names = {child.prog.removeprefix(parser.prog).strip() for child in leaves(parser)}
    section = content.get(command, {})
    if not isinstance(section, dict):
        raise UserError(f"{path}: '{command}' must hold option names with values")
    merged = {key.replace("_", "-"): value for key, value in content.items() if key not in names}
    merged |= {str(key).replace("_", "-"): value for key, value in section.items()}
    settings = []
    for key, value in merged.items():
        action = leaf._option_string_actions.get(f"--{key}")
        if action is None or key in {"help", "config"}:
            raise UserError(f"{path}: '{leaf.prog}' has no option '{key}'")
        settings.append((action, value))
    return settings


def _as_arguments(leaf: argparse.ArgumentParser, action: argparse.Action, value: object, path: str) -> list[str]:
    option = max(action.option_strings, key=len)
    if value is None:
        return []
    if action.nargs == 0:
        return _flag(action, value, path)
    if isinstance(action, argparse._AppendAction):
        if isinstance(value, dict):  # metadata: {camera: wide} stands for --metadata camera=wide
            value = [f"{key}={_text(item)}" for key, item in value.items()]
        items = value if isinstance(value, list) else [value]
        return [f"{option}={_text(item)}" for item in items]
    if isinstance(value, (list, dict)):
        if action.nargs not in ("+", "*") or isinstance(value, dict):
            raise UserError(f"{path}: '{option[2:]}' takes one value")
        # An option that takes many values would swallow the arguments behind it, so these become its default instead.
        leaf.set_defaults(**{action.dest: [leaf._get_value(action, _text(item)) for item in value]})
        action.required = False
        return []
    return [f"{option}={_text(value)}"]


def _flag(action: argparse.Action, value: object, path: str) -> list[str]:
    option = max((name for name in action.option_strings if not name.startswith("--no-")), key=len)
    if value is True:
        return [option]
    if value is False:
        negative = f"--no-{option[2:]}"
        return [negative] if negative in action.option_strings else []
    raise UserError(f"{path}: '{option[2:]}' is a switch: true or false")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
