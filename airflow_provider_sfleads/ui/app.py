"""The routes behind the page; each of them asks Airflow who the user is."""

from __future__ import annotations

from pathlib import Path

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse

_STATIC = Path(__file__).parent / "static"

# Documentation would be open to everybody: no dependency guards it.
app = FastAPI(dependencies=[Depends(get_user)], docs_url=None, redoc_url=None, openapi_url=None)


@app.get("/static/{name}")
def static(name: str) -> FileResponse:
    """Return one of the page's own files."""
    if name not in {file.name for file in _STATIC.iterdir()}:
        raise HTTPException(404, f"There is no file {name!r} of the page.")
    return FileResponse(_STATIC / name)
