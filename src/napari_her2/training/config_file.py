"""Training settings as YAML: strict, typed, with every key explained.

A key is a field of :class:`~napari_her2.training.config.TrainingConfig`; what is
left out keeps its default. ``network`` is the name of a size, or a mapping of
:class:`~napari_her2.models.config.NetworkConfig`'s fields with the ``size`` they
start from. Nothing is guessed: an unknown or mistyped key ends the run before
it begins.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from napari_her2.core.errors import StorageError, UsageError
from napari_her2.models.config import DEMO, REFERENCE, NetworkConfig
from napari_her2.training.config import TrainingConfig

SIZES = {"demo": DEMO, "reference": REFERENCE}
SHIPPED = Path(__file__).with_name("configs")
_NETWORK = "network"


class _Loader(yaml.SafeLoader):
    """YAML without tags and without the silent loss of a key given twice."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.YAMLError(f"the key {key} stands in it twice")
    values: dict[Any, Any] = loader.construct_mapping(node)
    return values


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_config(
    source: Path | str | None = None, settings: Sequence[str] = ()
) -> TrainingConfig:
    """Read a configuration.

    Parameters
    ----------
    source
        A YAML file, or ``demo`` or ``reference`` (also with ``.yaml``) for those
        that come with the package; None for the defaults.
    settings
        ``key=value`` with a YAML value, laid over the file; ``network.key=value``
        for a part of the network.

    Raises
    ------
    UsageError
        If the file is missing, no YAML mapping, or has an unknown key or a value
        of another type. It names file and key.
    """
    values: dict[str, Any] = {}
    where = "the settings"
    if source is not None:
        path = Path(source)
        if str(source).removesuffix(".yaml") in SIZES and not path.is_file():
            path = SHIPPED / path.with_suffix(".yaml").name
        where = path.name
        try:
            values = _read(path.read_text(encoding="utf-8"), where)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(
                f"The configuration {source} cannot be read ({reason}).",
                f"Give a YAML file, or one of {', '.join(SIZES)}.",
            ) from error
    config = _config(values, TrainingConfig(), where)
    for setting in settings:
        config = _with_setting(config, setting)
    return config


def dump_config(config: TrainingConfig) -> str:
    """Write all settings as YAML that :func:`load_config` reads back.

    Examples
    --------
    >>> "seed: 7" in dump_config(TrainingConfig(seed=7)).splitlines()
    True
    """
    values = asdict(config)
    values[_NETWORK] = config.network.to_dict()
    plain = {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}
    text: str = yaml.safe_dump(plain, sort_keys=False, default_flow_style=None)
    return text


def keep_config(config: TrainingConfig, folder: Path) -> None:
    """Write ``config.yaml`` into the folder of a run, or check the one there.

    Raises
    ------
    UsageError
        If the folder holds a run of other settings. How often to write a
        checkpoint and how many processes to use may differ.
    StorageError
        If the folder cannot be written.
    """
    path = folder / "config.yaml"
    try:
        if path.exists():
            there = load_config(path)
            free = ("checkpoint_steps", "processes")
            same = {name: getattr(config, name) for name in free}
            for field in fields(config):
                mine, old = getattr(config, field.name), getattr(there, field.name)
                if field.name not in same and mine != old:
                    raise UsageError(
                        f"{folder} holds a run with {field.name} {old}, not {mine}.",
                        "Choose an empty output folder, or the same settings.",
                    )
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(dump_config(config), encoding="utf-8")
    except OSError as error:
        raise StorageError(
            path,
            f"it cannot be written ({error.strerror or error}).",
            "Choose a folder you may write to.",
        ) from error


def _read(text: str, where: str) -> dict[str, Any]:
    try:
        values = yaml.load(text, _Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.YAMLError as error:
        raise UsageError(
            f"{where} is no YAML ({' '.join(str(error).split())}).", "Correct it."
        ) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UsageError(
            f"{where} is no mapping of settings.", "Write lines of key: value."
        )
    return values


def _with_setting(config: TrainingConfig, setting: str) -> TrainingConfig:
    key, separator, text = setting.partition("=")
    if not separator:
        raise UsageError(f"{setting!r} is no setting.", "Write key=value.")
    try:
        value = yaml.load(text, _Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.YAMLError as error:
        raise UsageError(f"The value of {key} is no YAML.", "Correct it.") from error
    key, _, part = key.strip().partition(".")
    if part:
        if key != _NETWORK:
            raise UsageError(f"{key} has no parts.", f"Write {key}=value.")
        value = {part: value}
    return _config({key: value}, config, "the command line")


def _config(
    values: Mapping[str, Any], base: TrainingConfig, where: str
) -> TrainingConfig:
    """Return ``base`` with checked values laid over it."""
    hints = get_type_hints(TrainingConfig)
    changed: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            raise UsageError(
                f"{where}: {key} is no setting.",
                f"Known are {', '.join(sorted(hints))}.",
            )
        if key == _NETWORK:
            changed[key] = _network(value, base.network, where)
        else:
            changed[key] = _typed(value, hints[key], key, where)
    return replace(base, **changed)


def _network(value: object, base: NetworkConfig, where: str) -> NetworkConfig:
    if isinstance(value, str):
        value = {"size": value}
    if not isinstance(value, dict):
        raise _mistyped(value, _NETWORK, "a size or a mapping", where)
    parts = dict(value)
    if "size" in parts:
        size = parts.pop("size")
        if size not in SIZES:
            raise _mistyped(
                size, f"{_NETWORK}.size", f"one of {', '.join(SIZES)}", where
            )
        base = SIZES[size]
    hints = get_type_hints(NetworkConfig)
    for key in parts:
        if key not in hints:
            raise UsageError(
                f"{where}: {_NETWORK}.{key} is no setting.",
                f"Known are size, {', '.join(sorted(hints))}.",
            )
    typed = {k: _typed(v, hints[k], f"{_NETWORK}.{k}", where) for k, v in parts.items()}
    return replace(base, **typed)


def _typed(value: Any, hint: Any, key: str, where: str) -> Any:
    """Return a YAML value as the type a field has, or refuse it."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in parts:
            return None
        (hint,) = (part for part in parts if part is not type(None))
        return _typed(value, hint, key, where)
    if origin is Literal:
        if value not in parts:
            wanted = ", ".join(map(str, parts))
            raise _mistyped(value, key, f"one of {wanted}", where)
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise _mistyped(value, key, "a list", where)
        if parts[-1] is not ... and len(value) != len(parts):
            raise _mistyped(value, key, f"a list of {len(parts)}", where)
        return tuple(_typed(item, parts[0], key, where) for item in value)
    if hint is float and isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return float(value)  # YAML takes 1e-4 for a text
        except ValueError:
            pass
    if type(value) is not hint:
        names = {int: "a whole number", float: "a number", bool: "true or false"}
        raise _mistyped(value, key, names.get(hint, "a text"), where)
    return value


def _mistyped(value: object, key: str, wanted: str, where: str) -> UsageError:
    return UsageError(f"{where}: {key} is {value!r}.", f"It must be {wanted}.")
