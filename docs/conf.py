"""
How Sphinx makes a site of the pages that GitHub shows: ``make docs-site`` runs it over the project's folder.

The pages are plain Markdown. ``docs/README.md`` is the only list of them: its headings and the links below them become
the site's contents. A broken link or anchor is a warning, and so is a page that the list leaves out; a warning ends the
build. No page of the site asks another host for a font, a style or a script.
"""

import re
import shutil
from pathlib import Path
from posixpath import normpath

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

# autodoc would import them as a type checker reads them, and pydantic's models cannot be made like that.
import impactflow.buying.run  # noqa: F401
import tasks.credentials  # noqa: F401

ROOT = Path(__file__).parents[1]
CONTENTS = ROOT / "docs" / "README.md"

project = "impactflow"
html_title = "impactflow"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
include_patterns = ["*.md", "deployments/*.md", "docs/*.md", "docs/*.rst"]
root_doc = "README"

myst_heading_anchors = 4
#: The options of commands begin with two hyphens, which must not become a dash.
smartquotes = False
#: YAML and JSON with "..." in them, and lines of a terminal, are shown without colours instead.
suppress_warnings = ["misc.highlighting_failure"]
highlight_language = "text"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["tables.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False


def _contents() -> str:
    """The site's contents as MyST wants them, from the list of the pages."""
    trees = []
    for heading, below in re.findall(r"^## (.+)\n([^#]*)", CONTENTS.read_text(), re.MULTILINE):
        pages = [
            normpath(f"docs/{link}").rsplit(".", 1)[0] for link in re.findall(r"\]\(([^)#]+\.(?:md|rst))\)", below)
        ]
        trees += ["```{toctree}", ":hidden:", f":caption: {heading}", "", *dict.fromkeys(pages), "```", ""]
    return "\n".join(trees)


def _as_site(_: Sphinx, page: str, source: list[str]) -> None:
    """A folder is a page on GitHub only."""
    folder = (ROOT / page).parent
    source[0] = re.sub(
        r"\[([^]]+)\]\(([\w./-]+)\)", lambda link: link[1] if (folder / link[2]).is_dir() else link[0], source[0]
    )
    if page == root_doc:
        source[0] += "\n\n```{toctree}\n:hidden:\n\ndocs/README\n```\n\n" + _contents()


#: What a browser loads by itself from another host; a link that a person may follow is none.
_LOADED = re.compile(
    r"""<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)="(?:https?:)?//|@import|url\(["']?(?:https?:)?//"""
)


def _finished(site: Sphinx, error: Exception | None) -> None:
    """The README is the first page: it is found under that name, too. No page loads anything from another host."""
    if error is not None or site.builder.name != "html":
        return
    folder = Path(site.outdir)
    shutil.copyfile(folder / f"{root_doc}.html", folder / "index.html")
    for page in (*folder.rglob("*.html"), *folder.rglob("*.css")):
        if found := _LOADED.search(page.read_text()):
            raise ExtensionError(f"{page.name} would ask another host: {found[0]}")


def setup(site: Sphinx) -> None:
    """What Sphinx calls before it reads anything."""
    site.connect("source-read", _as_site)
    site.connect("build-finished", _finished)
