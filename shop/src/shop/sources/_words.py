"""The shop's words in its four languages: one table per kind of word, one row per meaning.

Rule 1. The first column is the meaning, the same in all languages; the rest are how it is said.
Rule 2. Nouns: singular, gender, plural. Genders: German m f n, French m f, Dutch c (de) n (het).
Rule 3. Adjectives: German as the stem that endings join, or "=" before one that takes none.
        French masculine/feminine, Dutch bare/inflected; one form where both are the same.
Rule 4. `wears` says in which of KINDS, MATERIALS and DETAILS a garment comes.
"""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple


class Garment(NamedTuple):
    """A thing to wear."""

    meaning: str
    de: str
    fr: str
    nl: str
    en: str
    price: str
    wears: str


class Said(NamedTuple):
    """A meaning, and how each language says it."""

    meaning: str
    de: str
    fr: str
    nl: str
    en: str


GARMENTS = """
dress    | Kleid n Kleider        | robe f robes           | jurk c jurken            | dress dresses       | 60  | summer winter evening office wrap cotton silk linen viscose wool lace belt pockets buttons
skirt    | Rock m Röcke           | jupe f jupes           | rok c rokken             | skirt skirts        | 45  | summer winter office wrap pleated cotton leather silk linen viscose wool lace belt pockets buttons zip
jacket   | Jacke f Jacken         | veste f vestes         | jas c jassen             | jacket jackets      | 90  | summer winter rain office cotton leather linen wool hood belt pockets buttons zip
shirt    | Hemd n Hemden          | chemise f chemises     | overhemd n overhemden    | shirt shirts        | 45  | summer office leisure cotton silk linen viscose pockets buttons
blouse   | Bluse f Blusen         | chemisier m chemisiers | blouse c blouses         | blouse blouses      | 45  | summer evening office wrap cotton silk linen viscose lace buttons
trousers | Hose f Hosen           | pantalon m pantalons   | broek c broeken          | =trousers trousers  | 60  | summer winter rain office leisure cotton leather linen viscose wool belt pockets zip
jeans    | Jeans f Jeans          | jean m jeans           | spijkerbroek c spijkerbroeken | =jeans jeans   | 70  | denim belt pockets buttons zip
jumper   | Pullover m Pullover    | pull m pulls           | trui c truien            | jumper jumpers      | 60  | winter leisure cotton wool cashmere hood pockets
cardigan | Strickjacke f Strickjacken | gilet m gilets     | vest n vesten            | cardigan cardigans  | 60  | winter cotton wool cashmere belt pockets buttons
coat     | Mantel m Mäntel        | manteau m manteaux     | mantel c mantels         | coat coats          | 140 | winter rain leather wool cashmere hood belt pockets buttons
top      | Top n Tops             | haut m hauts           | top c tops               | top tops            | 25  | summer evening leisure cotton silk viscose lace
tshirt   | T-Shirt n T-Shirts     | T-shirt m T-shirts     | T-shirt n T-shirts       | T-shirt T-shirts    | 20  | leisure cotton linen viscose pockets
blazer   | Blazer m Blazer        | blazer m blazers       | blazer c blazers         | blazer blazers      | 100 | summer evening office cotton linen wool pockets buttons
waistcoat | Weste f Westen        | gilet m gilets         | gilet n gilets           | waistcoat waistcoats | 50 | winter office leather linen wool pockets buttons zip
suit     | Anzug m Anzüge         | costume m costumes     | pak n pakken             | suit suits          | 220 | summer evening office linen wool pockets buttons
shorts   | Shorts f Shorts        | short m shorts         | short c shorts           | =shorts shorts      | 35  | summer leisure cotton leather linen belt pockets
scarf    | Schal m Schals         | écharpe f écharpes     | sjaal c sjaals           | scarf scarves       | 30  | winter cotton silk wool cashmere
beanie   | Mütze f Mützen         | bonnet m bonnets       | muts c mutsen            | beanie beanies      | 20  | winter cotton wool cashmere
"""

KINDS = """
summer  | Sommer   | d'été          | zomer      | summer
winter  | Winter   | d'hiver        | winter     | winter
rain    | Regen    | de pluie       | regen      | rain
evening | Abend    | de soirée      | avond      | evening
office  | Büro     | de bureau      | kantoor    | office
leisure | Freizeit | de loisir      | vrijetijds | leisure
wrap    | Wickel   | portefeuille   | wikkel     | wrap
pleated | Falten   | à plis         | plooi      | pleated
"""

COLOURS = """
black      | schwarz    | noir/noire       | zwart/zwarte             | black
white      | weiß       | blanc/blanche    | wit/witte                | white
red        | rot        | rouge            | rood/rode                | red
blue       | blau       | bleu/bleue       | blauw/blauwe             | blue
green      | grün       | vert/verte       | groen/groene             | green
grey       | grau       | gris/grise       | grijs/grijze             | grey
brown      | braun      | marron           | bruin/bruine             | brown
yellow     | gelb       | jaune            | geel/gele                | yellow
pink       | =rosa      | rose             | roze                     | pink
beige      | =beige     | beige            | beige                    | beige
orange     | =orange    | orange           | oranje                   | orange
purple     | violett    | violet/violette  | paars/paarse             | purple
navy       | dunkelblau | bleu marine      | donkerblauw/donkerblauwe | dark blue
light grey | hellgrau   | gris clair       | lichtgrijs/lichtgrijze   | light grey
olive      | olivgrün   | vert olive       | olijfgroen/olijfgroene   | olive green
"""

PATTERNS = """
striped | gestreift | rayé/rayée       | gestreept/gestreepte   | striped
checked | kariert   | à carreaux       | geruit/geruite         | checked
dotted  | gepunktet | à pois           | gestippeld/gestippelde | dotted
floral  | geblümt   | fleuri/fleurie   | gebloemd/gebloemde     | floral
printed | bedruckt  | imprimé/imprimée | bedrukt/bedrukte       | printed
"""

# German: the noun, and how it begins a compound. Dutch: the noun, and the adjective.
MATERIALS = """
cotton   | Baumwolle/Baumwoll | coton     | katoen/katoenen     | cotton
leather  | Leder/Leder        | cuir      | leer/leren          | leather
wool     | Wolle/Woll         | laine     | wol/wollen          | wool
silk     | Seide/Seiden       | soie      | zijde/zijden        | silk
linen    | Leinen/Leinen      | lin       | linnen/linnen       | linen
viscose  | Viskose/Viskose    | viscose   | viscose/viscose     | viscose
cashmere | Kaschmir/Kaschmir  | cachemire | kasjmier/kasjmieren | cashmere
denim    | Denim/Denim        | denim     | denim/denim         | denim
"""

DETAILS = """
lace    | mit Spitze         | avec dentelle            | met kant             | with lace
belt    | mit Gürtel         | avec ceinture            | met riem             | with belt
pockets | mit Taschen        | avec poches              | met zakken           | with pockets
buttons | mit Knöpfen        | avec boutons             | met knopen           | with buttons
hood    | mit Kapuze         | avec capuche             | met capuchon         | with hood
zip     | mit Reißverschluss | avec fermeture éclair    | met ritssluiting     | with zip
"""

CUTS = """
loose    | weit   | ample    | ruime  | loose
slim     | schmal | ajustée  | slanke | slim
straight | gerade | droite   | rechte | straight
"""

OCCASIONS = """
office  | für lange Tage im Büro         | pour les longues journées au bureau | voor lange dagen op kantoor    | for long days at the office
weekend | für ein ruhiges Wochenende     | pour un week-end tranquille         | voor een rustig weekend        | for a quiet weekend
evening | für Abende mit Freunden        | pour les soirées entre amis         | voor avonden met vrienden      | for evenings with friends
travel  | für die Reise ans Meer         | pour un voyage à la mer             | voor een reis naar zee         | for a trip to the sea
party   | für jedes Fest                 | pour toutes les fêtes               | voor elk feest                 | for every party
city    | für einen Bummel in der Stadt  | pour une promenade en ville         | voor een wandeling in de stad  | for a stroll in town
"""

CARE = """
machine | Maschinenwäsche bei 30 Grad.   | Lavage en machine à 30 degrés.   | Machinewas op 30 graden.   | Machine wash at 30 degrees.
hand    | Bitte mit der Hand waschen.    | À laver à la main.               | Met de hand wassen.        | Wash by hand.
air     | Nur auslüften, nicht waschen.  | À aérer, ne pas laver.           | Alleen luchten, niet wassen. | Air only, do not wash.
"""

BRANDS = (
    "Brekholt", "Dunmarrow", "Elvarik", "Fennholm", "Glanwick", "Halveth", "Ilsandre", "Jorvanna",
    "Korrelin", "Lumisette", "Maravelle", "Nordhaven & Voss", "Orlisse", "Pellworth", "Quenby Lane",
    "Ravensund", "Sunavira", "Tannwick", "Ulvane", "Velmora",
)  # fmt: skip
"""Invented, every one."""

ONE_SIZE = {"de": "Einheitsgröße", "fr": "Taille unique", "nl": "One size", "en": "One size"}


def rows(table: str) -> list[list[str]]:
    """The table's cells."""
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


@cache
def garments() -> tuple[Garment, ...]:
    """All garments."""
    return tuple(Garment(*row) for row in rows(GARMENTS))


@cache
def said(table: str) -> Mapping[str, Said]:
    """A table by meaning."""
    return {row[0]: Said(*row) for row in rows(table)}
