"""The projects of the pretend 1ClickImpact: made up, in the five languages that it speaks."""

from dataclasses import dataclass
from typing import Any

from impactflow.models import Kind

LOCALES = ("en", "de", "es", "fr", "nl")
#: The sort of project that makes each impact; donations go to trees where no cause is set.
TYPE_OF = {
    Kind.PLANT_TREES: "trees",
    Kind.DONATE: "trees",
    Kind.CLEAN_OCEAN: "ocean",
    Kind.CAPTURE_CARBON: "carbon",
}
TYPES = tuple(dict.fromkeys(TYPE_OF.values()))


@dataclass(frozen=True, slots=True)
class Project:
    """
    One project.

    Args:
        id: 1ClickImpact's name for it.
        type: One of ``TYPES``.
        country: Its ISO 3166 code.
        place: Where it is, for a person.
        latitude: In degrees.
        longitude: In degrees.
        goals: The numbers of the United Nations' goals that it serves.
        names: The project's name, in the order of ``LOCALES``.
        summaries: The project's work, in the same order.
        available: Whether impacts are made there now.
    """

    id: str
    type: str
    country: str
    place: str
    latitude: float
    longitude: float
    goals: tuple[int, ...]
    names: tuple[str, ...]
    summaries: tuple[str, ...]
    available: bool = True

    def as_json(self, locale: str) -> dict[str, Any]:
        """Return the project as 1ClickImpact shows it in a language."""
        language = LOCALES.index(locale)
        return {
            "project_id": self.id,
            "name": self.names[language],
            "type": self.type,
            "location": self.place,
            "description": self.summaries[language],
            "about": [self.summaries[language]],
            "country_code": self.country,
            "organization": "Sandbox Stewards",
            "sdgs": [_goal(number) for number in self.goals],
            "image_urls": [f"https://oneclickimpact.example.com/projects/{self.id}.jpg"],
            "latitude": self.latitude,
            "longitude": self.longitude,
            "available": self.available,
        }


_GOALS = {
    13: ("Climate Action", "#3F7E44"),
    14: ("Life Below Water", "#0A97D9"),
    15: ("Life on Land", "#56C02B"),
}


def _goal(number: int) -> dict[str, Any]:
    title, color = _GOALS[number]
    return {
        "id": f"SDG{number}",
        "number": number,
        "title": title,
        "description": f"Goal {number} of the United Nations.",
        "color": color,
        "link": f"https://sdgs.un.org/goals/goal{number}",
        "icon_url": f"https://oneclickimpact.example.com/sdg/{number}.svg",
    }


PROJECTS = (
    Project(
        "P-TREES-1",
        "trees",
        "UG",
        "Hill country, Uganda",
        0.39,
        29.87,
        (13, 15),
        ("New hill forest", "Neuer Bergwald", "Nuevo bosque de montaña", "Nouvelle forêt de montagne", "Nieuw bergbos"),
        (
            "Trees grow on a hill that was bare.",
            "Bäume wachsen auf einem kahlen Berg.",
            "Crecen árboles en un monte que estaba desnudo.",
            "Des arbres poussent sur une colline nue.",
            "Bomen groeien op een kale heuvel.",
        ),
    ),
    Project(
        "P-TREES-2",
        "trees",
        "MG",
        "West coast, Madagascar",
        -15.72,
        46.32,
        (13, 14, 15),
        ("Mangrove bay", "Mangrovenbucht", "Bahía de manglares", "Baie des mangroves", "Mangrovebaai"),
        (
            "Mangroves return to a bay.",
            "Mangroven kehren in eine Bucht zurück.",
            "Los manglares vuelven a una bahía.",
            "Les mangroves reviennent dans une baie.",
            "Mangroven keren terug in een baai.",
        ),
        available=False,
    ),
    Project(
        "P-OCEAN-1",
        "ocean",
        "ID",
        "Java Sea, Indonesia",
        -6.11,
        106.87,
        (14,),
        ("Clean harbour", "Sauberer Hafen", "Puerto limpio", "Port propre", "Schone haven"),
        (
            "Waste is taken out before it reaches the sea.",
            "Müll wird geborgen, bevor er das Meer erreicht.",
            "Se recogen residuos antes de que lleguen al mar.",
            "Les déchets sont retirés avant d'atteindre la mer.",
            "Afval wordt geborgen voor het de zee bereikt.",
        ),
    ),
    Project(
        "P-CARBON-1",
        "carbon",
        "IS",
        "Lava fields, Iceland",
        64.04,
        -21.4,
        (13,),
        ("Air into stone", "Luft zu Stein", "Del aire a la piedra", "De l'air à la pierre", "Lucht wordt steen"),
        (
            "Carbon from the air becomes rock.",
            "Kohlenstoff aus der Luft wird zu Stein.",
            "El carbono del aire se vuelve roca.",
            "Le carbone de l'air devient roche.",
            "Koolstof uit de lucht wordt steen.",
        ),
    ),
)
