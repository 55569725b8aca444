"""What a column's name says about its role: English, German, French and Spanish.

The letters are those of HIPAA's Safe Harbor list of 18 identifiers, 45 CFR 164.514(b)(2)(i).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

__all__ = ["HIPAA", "NameRule", "plain_words", "rule_of_name"]

HIPAA: dict[str, str] = {
    "A": "(A) names",
    "B": "(B) geographic subdivisions smaller than a state",
    "C": "(C) elements of dates, except the year, and ages over 89",
    "D": "(D) telephone numbers",
    "E": "(E) fax numbers",
    "F": "(F) electronic mail addresses",
    "G": "(G) social security numbers",
    "H": "(H) medical record numbers",
    "I": "(I) health plan beneficiary numbers",
    "J": "(J) account numbers",
    "K": "(K) certificate and license numbers",
    "L": "(L) vehicle identifiers and serial numbers",
    "M": "(M) device identifiers and serial numbers",
    "N": "(N) web addresses (URL)",
    "O": "(O) internet protocol (IP) addresses",
    "P": "(P) biometric identifiers",
    "Q": "(Q) full-face photographs",
    "R": "(R) any other unique identifying number, characteristic or code",
}
"""HIPAA's 18 identifiers by their letter."""

Role = Literal["identifier", "quasi-identifier", "sensitive"]


@dataclass(frozen=True)
class NameRule:
    """A kind of column that its name gives away.

    Parameters
    ----------
    kind
        What the column holds, in words.
    role
        The role that this suggests.
    hipaa
        Letter of HIPAA's list, or empty.
    pattern
        Regular expression on the words of the name, in lower case and without accents.
    presets
        Hierarchies to try on its values, the first that holds them all is suggested.
    of_a_person
        Whether it names or numbers a person, so that few values do not belie it: a few persons can
        fill a whole table.
    """

    kind: str
    role: Role
    hipaa: str
    pattern: re.Pattern[str]
    presets: tuple[str, ...] = ()
    of_a_person: bool = False


def _rule(
    kind: str, role: Role, hipaa: str, pattern: str, *presets: str, of_a_person: bool = False
) -> NameRule:
    return NameRule(kind, role, hipaa, re.compile(rf"\b(?:{pattern})\b"), presets, of_a_person)


_NUMBER = r"(?:id|ids|no|nr|num|number|nummer|numero|key|code|kennung|identifier)"

# In order: the first that fits wins, so that an "e-mail address" is no street.
RULES: tuple[NameRule, ...] = (
    _rule("an e-mail address", "identifier", "F", r"e ?mails?(?: .*)?|mail|courriel|correo"),
    _rule("an IP address", "identifier", "O", r"ip|ip ?(?:addr|address|adresse|v4|v6)"),
    _rule(
        "a device or serial number",
        "identifier",
        "M",
        rf"imei|mac ?(?:address|adresse)|udi|device {_NUMBER}|serial(?: {_NUMBER})?"
        r"|seriennummer|gerate ?(?:id|nummer)|numero de serie",
    ),
    _rule("a web address", "identifier", "N", r"urls?|web ?site|web ?seite|home ?page|sitio web"),
    _rule("a fax number", "identifier", "E", r"fax|tele ?fax|fax ?(?:number|nummer)"),
    _rule(
        "a telephone number",
        "identifier",
        "D",
        r"(?:tele)?phones?|tel|telefon(?:nummer)?|handy(?:nummer)?|mobile?|mobilnummer|telefono"
        r"|movil|celular|cell(?:phone)?",
    ),
    _rule(
        "a social security or national number",
        "identifier",
        "G",
        r"ssn|social security.*|sozialversicherungs\w*|svnr|national (?:id|number|insurance)"
        rf"|securite sociale|nir|insee|dni|nie|cpf|curp|nhs(?: {_NUMBER})?"
        r"|steuer ?(?:id|nummer)|tax id|seguridad social",
        of_a_person=True,
    ),
    _rule(
        "a certificate or license number",
        "identifier",
        "K",
        rf"passport(?: {_NUMBER})?|reisepass\w*|ausweis\w*|personalausweis\w*|pasaporte|passeport"
        rf"|(?:driver|driving)s? licen[cs]e(?: {_NUMBER})?|licen[cs]e {_NUMBER}|fuhrerschein\w*"
        r"|permis de conduire|certificate (?:no|nr|number)",
    ),
    _rule(
        "a vehicle's number",
        "identifier",
        "L",
        r"vin|(?:license|licence|number) plate|kfz\w*|kennzeichen|plaque|immatriculation|matricula",
    ),
    _rule(
        "an account number",
        "identifier",
        "J",
        rf"iban|bic|account(?: {_NUMBER})|konto(?:nummer|nr)?|numero de (?:compte|cuenta)"
        r"|(?:credit|debit) card.*|card (?:no|nr|number)|kreditkarte\w*",
    ),
    _rule(
        "a health plan number",
        "identifier",
        "I",
        rf"(?:insurance|policy|member|beneficiary|plan|subscriber) {_NUMBER}|versicherten\w*"
        r"|versicherungs(?:nummer|nr)|krankenkassen(?:nummer|nr)|kvnr|numero de poliza"
        r"|numero (?:de )?(?:mutuelle|assure)",
    ),
    _rule(
        "a medical record or person number",
        "identifier",
        "H",
        r"mrn|medical record.*|chart (?:no|nr|number)|pat ?id|pid"
        rf"|(?:patient|person|subject|participant|respondent|proband) ?{_NUMBER}"
        r"|patienten(?:nummer|nr|id)|probanden\w*"
        r"|numero de dossier|dossier|id ?patient|identifiant patient|historia clinica|expediente",
        of_a_person=True,
    ),
    _rule(
        "the number of a case, a visit or a sample",
        "identifier",
        "H",
        rf"hadm id|(?:case|encounter|visit|stay|admission|appointment|sample|specimen|study|record)"
        rf" ?{_NUMBER}|fall(?:nummer|nr|id| id)|aufnahmenummer",
    ),
    _rule(
        "a biometric identifier",
        "identifier",
        "P",
        r"fingerprints?|biometric\w*|voice ?print|iris scan|retina scan|fingerabdruck"
        r"|empreinte|huella",
    ),
    _rule(
        "a photograph",
        "identifier",
        "Q",
        r"photos?|photograph|fotos?|portrait|face image|lichtbild",
    ),
    _rule(
        "a name",
        "identifier",
        "A",
        r"(?:first|last|given|family|middle|full|maiden|user|nick|patient|mothers?|fathers?"
        r"|doctors?|physician|contact|sur|fore) ?names?|(?:vor|nach|familien|geburts|zu)name"
        r"|prenom|nom de famille|apellidos?|nombre completo|nombre (?:del )?paciente"
        r"|initials?|initialen",
        of_a_person=True,
    ),
    NameRule("a name", "identifier", "A", re.compile(r"^(?:names?|nom|nombre|patient)$")),
    _rule(
        "a street address",
        "identifier",
        "B",
        r"street|address(?:es)?|adress(?:e|en)?|anschrift|strasse|str|hausnummer|rue|direccion|calle"
        r"|domicilio",
    ),
    _rule(
        "a place of birth",
        "quasi-identifier",
        "B",
        r"birth ?place|place of birth|geburtsort|lieu de naissance|lugar de nacimiento",
    ),
    _rule(
        "a date of birth",
        "quasi-identifier",
        "C",
        r"dob|yob|birth ?(?:date|day|year|month)|(?:date|year|month|day) of birth"
        r"|geb(?:urts)?(?:datum|tag|jahr|monat)|geboren|(?:date|annee) (?:de )?naissance|naissance"
        r"|(?:fecha|ano) (?:de )?nacimiento|nacimiento",
        "date",
    ),
    _rule(
        "an age",
        "quasi-identifier",
        "",
        r"ages?|aged|alter|altersgruppe|lebensalter|edad|age ?(?:group|band|category|years?)",
        "brfss-age-group",
        "age-5-10-20-90",
    ),
    _rule(
        "a sex or gender", "quasi-identifier", "", r"sex|gender|geschlecht|sexe|sexo|genre|genero"
    ),
    _rule("a German postcode", "quasi-identifier", "B", r"plz|postleitzahl(?:en)?", "postcode-de"),
    _rule("a French postcode", "quasi-identifier", "B", r"code postal", "postcode-fr"),
    _rule("a Spanish postcode", "quasi-identifier", "B", r"codigo postal", "postcode-es"),
    _rule(
        "a ZIP code or postcode",
        "quasi-identifier",
        "B",
        r"zip(?:s|codes?| codes?)?|postal(?: ?codes?)?|post ?codes?",
        "postcode-us",
        "postcode-gb",
        "postcode-ca",
        "postcode-nl",
    ),
    _rule(
        "a position on the map",
        "quasi-identifier",
        "B",
        r"latitude|longitude|lat|lon|lng|gps|coordinates?|koordinaten?|geo ?(?:hash|point)",
    ),
    _rule(
        "a place smaller than a state",
        "quasi-identifier",
        "B",
        r"city|town|village|municipality|commune|county|district|neighbou?rhoods?|precinct|census"
        r" tract|wohnort|ort|stadt|gemeinde|landkreis|kreis|bezirk|ville|ciudad|municipio|barrio"
        r"|localidad|fips",
    ),
    _rule(
        "a state, region or country",
        "quasi-identifier",
        "",
        r"states?|province|region|country|(?:native|birth) country|nation|bundesland|land|kanton"
        r"|departement|pays|pais|provincia|estado|comunidad",
        "us-census-region",
    ),
    _rule(
        "a nationality",
        "quasi-identifier",
        "",
        r"nationality|citizenship|staatsangehorigkeit|nationalite|nacionalidad|foreign worker",
    ),
    _rule(
        "a race or ethnicity",
        "quasi-identifier",
        "",
        r"race|ethnicity|ethnic(?: group| origin)?|race ?ethnicity\w*|raza|etnia|ethnie|herkunft",
        "brfss-race",
    ),
    _rule("a religion", "quasi-identifier", "", r"religion|konfession|confession"),
    _rule(
        "a language",
        "quasi-identifier",
        "",
        r"(?:mother ?)?(?:language|tongue)|sprache|langue|idioma|lengua",
    ),
    _rule(
        "a marital status",
        "quasi-identifier",
        "",
        r"marital(?: status)?|civil status|familienstand|etat civil|estado civil|married"
        r"|relationship",
    ),
    _rule(
        "an education",
        "quasi-identifier",
        "",
        r"education|edu|schooling|academic degree|bildung(?:sabschluss)?|schulabschluss|etudes"
        r"|educacion|estudios|[wh]education",
    ),
    _rule(
        "an occupation",
        "quasi-identifier",
        "",
        r"occupation|profession|job(?: title)?|employer|employment|work ?class|beruf|arbeitgeber"
        r"|metier|profesion|ocupacion|empleo",
    ),
    _rule(
        "an income",
        "quasi-identifier",
        "",
        r"income|salary|wages?|einkommen|gehalt|revenus?|salaire|ingresos?|salario",
    ),
    _rule(
        "a household or family size",
        "quasi-identifier",
        "",
        r"children|kids|house ?hold(?: size)?|siblings|kinder|enfants|hijos|housing|haushalt\w*",
    ),
    _rule(
        "an insurance", "quasi-identifier", "", r"insurance(?: type)?|payer|krankenkasse|assurance"
    ),
    _rule(
        "a body height",
        "quasi-identifier",
        "",
        r"height|body ?height|korpergrosse|grosse|taille|talla|altura|estatura|height in \w+",
        "height-group",
    ),
    _rule("a body weight", "quasi-identifier", "", r"weight|gewicht|korpergewicht|poids|peso"),
    _rule("a body mass index", "quasi-identifier", "", r"bmi|body mass(?: index)?|imc", "who-bmi"),
    _rule(
        "a date",
        "quasi-identifier",
        "C",
        r"dates?|datum|fecha|date ?time|timestamp|\w+day|aufnahmedatum|entlassdatum|admit ?time"
        r"|disch ?time|(?:reg|out|death|admission|discharge) ?time",
        "date",
    ),
    _rule(
        "a diagnosis, treatment or outcome",
        "sensitive",
        "",
        r"diagnos[ei]s|diagnosen?|diagnosti(?:c|que|co)|icd ?(?:9|10|11)?|befunde?|krankheit(?:en)?"
        r"|maladies?|enfermedad(?:es)?|medikamente?|medicaments?|medicamentos?|atc|medikation"
        r"|therapie|traitement|tratamiento|outcome|died|dead|deaths?|expired?|survival|deceased|verstorben"
        r"|todesursache|deces|fallecido|raucher|fumeur|fumador|alkohol|tabac",
        "icd10",
        "atc",
    ),
    _rule(
        "a hospital or place of care",
        "quasi-identifier",
        "",
        r"hospital|clinic|ward|practice|provider|krankenhaus|klinik|hopital|(?:admission|discharge)"
        r" location",
    ),
    NameRule(
        "an identifying number",
        "identifier",
        "R",
        re.compile(
            rf"^{_NUMBER}$|\b(?:id|ids|uid|uuid|guid|identifier|kennung|identifiant|identificador)\b"
            rf"|\b(?:row|user|customer|client|employee|staff|kunden) ?{_NUMBER}\b"
        ),
    ),
)

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def plain_words(name: str) -> str:
    """Return the words of a name in lower case, without accents, with one blank between.

    Examples
    --------
    >>> plain_words("PatientID"), plain_words("código_postal"), plain_words("Straße")
    ('patient id', 'codigo postal', 'strasse')
    """
    bare = name.replace("ß", "ss").replace("ẞ", "SS")
    bare = "".join(
        mark for mark in unicodedata.normalize("NFKD", bare) if not unicodedata.combining(mark)
    )
    return " ".join(word.lower() for word in _WORD.findall(bare))


def rule_of_name(name: str) -> NameRule | None:
    """Return the first rule that the words of a name fit, or None."""
    words = plain_words(name)
    return next((rule for rule in RULES if rule.pattern.search(words)), None)
