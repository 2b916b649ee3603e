"""A model folder goes to the hub, with its card. The token is the hub client's own business: it is never read, printed or stored here."""

from __future__ import annotations

import re
from pathlib import Path

from jp_adapt.core.errors import JpAdaptError, UsageError
from jp_adapt.model.sources import folder_files

SENT = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.model", "*.jinja", "additional_chat_templates/*.jinja", "*.gguf", "LICENSE*", "NOTICE*")
_SECRET = re.compile(r"hf_\w{6,}|(?i:bearer)\s+\S+")


def check_repo(repo: str) -> None:
    """UsageError for a name that the hub refuses."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    owner, _, name = repo.partition("/")
    if not owner or not name or "/" in name:
        raise UsageError(f"--repo {repo}: a repository's name is OWNER/NAME")
    try:
        validate_repo_id(repo)
    except HFValidationError:
        rule = "it has letters A to Z, digits and single - _ . within, at most 96 in all, and does not end with .git"
        raise UsageError(f"--repo {repo}: the hub takes no such name; {rule}") from None


def files_to_send(folder: Path) -> list[Path]:
    """The files of a model folder that belong to the model, README.md aside. InputError for a folder without safetensors."""
    folder_files(folder)
    results = {path for pattern in SENT for path in folder.glob(pattern) if path.is_file()}
    return sorted(results)


def upload(folder: Path, repo: str, texts: dict[str, str], *, private: bool = False, update: bool = False) -> str:
    """Make the repository `repo`, and put the folder's files and `texts` (name -> content) into it in one commit.

    Args:
        update: add a commit to a repository that exists.

    Returns:
        The address of the commit.

    Raises:
        UsageError: nobody is logged in, or the repository exists and `update` is not said. JpAdaptError: the hub refuses, with its own words.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if get_token() is None:
        raise UsageError("nobody is logged in to the hub; run hf auth login, or set HF_TOKEN")
    api = HfApi(library_name="jp-adapt")
    sent = [CommitOperationAdd(path.relative_to(folder).as_posix(), str(path)) for path in files_to_send(folder)]
    sent += [CommitOperationAdd(name, content.encode("utf-8")) for name, content in texts.items()]
    try:
        api.create_repo(repo, private=private, exist_ok=update)
        done = api.create_commit(repo, sent, commit_message="Model from jp-adapt")
    except HfHubHTTPError as error:
        if getattr(error.response, "status_code", None) == 409 and not update:
            raise UsageError(f"{repo}: exists on the hub already; give another name, or --update to add a commit to it") from None
        raise JpAdaptError(f"{repo}: the hub refuses ({_said(error)}); check the name, and that the token may write") from None
    except (OfflineModeIsEnabled, OSError, RuntimeError, ValueError) as error:
        raise JpAdaptError(f"{repo}: cannot be sent ({_said(error)})") from None
    return str(done.commit_url)


def _said(error: Exception) -> str:
    """The error's first two lines in one, without what might be a secret: what a card is refused for stands in the second."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip(" -")]
    return _SECRET.sub("***", " ".join(lines[:2])[:300] or type(error).__name__)
