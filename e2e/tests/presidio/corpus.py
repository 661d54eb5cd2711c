"""The corpus: sentences with values and with what only looks like them, the same for the same seed.

Three parts. Sentences of our own, in English and in four other languages, with values that Faker makes and near misses: we wrote them, knowing what
our detectors do. And the templates of Presidio's own evaluation (presidio-evaluator, data_generator/raw_data/templates.txt), which Faker fills: of
these we wrote nothing.
"""

import random
import re
import string
from datetime import date
from importlib.util import find_spec
from pathlib import Path

from faker import Faker

SEED = 20261125
BASE64 = string.ascii_letters + string.digits + "+/"
# Of each detector and part, values and near misses of our own.
VALUES, MISSES = 120, 80

EMAIL, PHONE, CARD, IBAN, SSN = "EMAIL", "PHONE", "CREDIT_CARD", "IBAN", "US_SSN"
IP, PASSPORT, BIRTH = "IP_ADDRESS", "PASSPORT", "DATE_OF_BIRTH"
AWS, GITHUB, JWT, KEY, API = "AWS_ACCESS_KEY", "GITHUB_TOKEN", "JWT", "PRIVATE_KEY", "API_KEY"

# Where the value stands at {}: in English, in German, French, Spanish and Chinese.
SENTENCES = {
    EMAIL: (["Write to {} please.", '{{"to":"{}","cc":null}}', "Is <{}> still yours?"], ["Schreiben Sie an {}, bitte.", "Écrivez à {} avant lundi.", "Escriba a <{}> hoy.", "请写信给{}，谢谢。"]),
    PHONE: (["Call me at {} tonight.", "Tel.: {}", "My number ({}) has changed."], ["Meine Telefonnummer ist {}.", "Mon numéro : {}.", "Llámame al {}, por favor.", "我的电话是{}。"]),
    CARD: (["Charge {} for it.", '{{"card":"{}"}}', "My card {} was stolen."], ["Die Karte {} ist gesperrt.", "La carte {} est bloquée.", "Mi tarjeta es {}.", "卡号是{}。"]),
    IBAN: (["Send it to {} today.", "IBAN: {}", "The account is {}."], ["Bitte auf {} überweisen.", "Virement sur {} svp.", "Transfiera a {} hoy.", "请汇款到{}。"]),
    SSN: (["My social security number is {}.", "SSN: {}", "Her SSN is {}, I think.", "the SSN ({}) is wrong"], ["Seine SSN lautet {}.", "Son numéro de sécurité sociale américain : {}", "Su SSN es {}.", "社会安全号码是{}。"]),
    IP: (["The server is at {} now.", "ping {}", '{{"host":"{}"}}'], ["Der Server {} antwortet nicht.", "Le serveur {} ne répond pas.", "Desde {} no responde.", "服务器{}没有响应。"]),
    BIRTH: (["She was born on {}.", "Date of birth: {}", "DOB {}"], ["Geburtsdatum: {}", "Né le {} à Lyon.", "Fecha de nacimiento: {}", "Sie ist am {} geboren.", "出生日期：{}"]),
    PASSPORT: (["My passport number is {}.", "Passport: {}", "Passport no. {}", "US passport {} expires soon"], ["Reisepassnummer: {}", "Numéro de passeport : {}", "Pasaporte: {}", "护照号码{}。"]),
    AWS: (["Use {} for it.", "export AWS_ACCESS_KEY_ID={}", '{{"key":"{}"}}'], ["Der Schlüssel ist {}.", "La clé {} est active.", "La clave es {}.", "密钥是{}。"]),
    GITHUB: (["Clone with {} then.", "GITHUB_TOKEN={}", '{{"token":"{}"}}'], ["Das Token {} ist alt.", "Le jeton {} a expiré.", "El token es {}.", "令牌是{}。"]),
    JWT: (["Send {} along.", "Authorization: Bearer {}", '{{"jwt":"{}"}}'], ["Das Token ist {}.", "Le jeton {} a expiré.", "El token es {}.", "令牌是{}。"]),
    KEY: (["This is it:\n{}\n", "{}", "key: |\n{}"], ["Hier:\n{}\nDanke", "Voici :\n{}", "Aquí está:\n{}", "密钥：\n{}"]),
    API: (["Use {} for it.", "OPENAI_API_KEY={}", '{{"key":"{}"}}'], ["Der Schlüssel ist {}.", "La clé {} est active.", "La clave es {}.", "密钥是{}。"]),
}
# Sentences for what is none, though it looks like it.
OTHER = {
    EMAIL: (["Install {} first.", "See {} in the log."], ["Erst {} installieren.", "Voir {} dans le journal."]),
    PHONE: (["Your order {} has shipped.", "ISBN {} is out of print.", "Total: {}"], ["Bestellung {} ist unterwegs.", "Commande {} expédiée.", "订单{}已发货。"]),
    CARD: (["Order {} has shipped.", "Trace {} failed."], ["Die Sendung {} kommt morgen.", "El pedido {} llega hoy."]),
    IBAN: (["Reference {} was paid."], ["Der Code {} gilt nicht."]),
    SSN: (["Part {} is in stock.", "Ticket {} is closed."], ["Teil {} ist vorrätig.", "La pièce {} manque."]),
    IP: (["Upgrade to version {} now.", "Build {} failed."], ["Siehe Abschnitt {} der Norm.", "La versión {} falla."]),
    BIRTH: (["The invoice is due on {}.", "Released {}"], ["Der Vertrag endet am {}.", "Réunion le {} à Lyon."]),
    PASSPORT: (["Your booking code is {}.", "Flight {} is late.", "Model {} is sold out."], ["Der Buchungscode ist {}.", "El vuelo {} llega tarde."]),
    AWS: (["The word {} is none."], ["Das Wort {} ist keines."]),
    GITHUB: (["The name {} is none."], ["Der Name {} ist keiner."]),
    JWT: (["The host {} is none."], ["Der Server {} ist keiner."]),
    KEY: (["{}"], ["Hier:\n{}"]),
    API: (["The name {} is none."], ["Der Name {} ist keiner."]),
}


def luhn(digits):
    total = sum(sum(divmod(int(digit) * (1 + place % 2), 10)) for place, digit in enumerate(reversed(digits)))
    return total % 10 == 0


class Maker:
    """Makes values and near misses."""

    def __init__(self):
        self.random = random.Random(SEED)
        Faker.seed(SEED)
        self.fakers = {name: Faker(name) for name in ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "en_IN")}
        self.any = self.fakers["en_US"]

    def text(self, alphabet, length):
        return "".join(self.random.choices(alphabet, k=length))

    def fake(self, *names):
        return self.fakers[self.random.choice(names or list(self.fakers))]

    def base64(self, length):
        return self.text(string.ascii_letters + string.digits + "-_", length)

    def grouped(self, digits):
        gap = self.random.choice(["", " ", "-"])
        if len(digits) == 15:
            return gap.join([digits[:4], digits[4:10], digits[10:]])
        return gap.join(digits[at : at + 4] for at in range(0, len(digits), 4))

    def day(self, first, last):
        """A day of these years. Faker's dates depend on today's, which the corpus is not to."""
        return date.fromordinal(self.random.randint(date(first, 1, 1).toordinal(), date(last, 11, 25).toordinal()))

    def date(self, value):
        return value.strftime(self.random.choice(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%B %d, %Y", "%d %B %Y"]))

    def value(self, kind):
        choose = self.random.choice
        match kind:
            case "EMAIL":
                return choose([self.any.email, self.any.company_email, lambda: f"{self.any.user_name()}+{self.text(string.ascii_lowercase, 3)}@mail.example.co.uk"])()
            case "PHONE":
                number = self.any.numerify
                return choose(
                    [
                        # https://en.wikipedia.org/wiki/555_(telephone_number) is not valid; real areas and exchanges are.
                        lambda: number("+1 212 6##-####"),
                        lambda: number("(415) 7##-####"),
                        lambda: number("312-6##-####"),
                        lambda: number("+44 20 79## ####"),
                        lambda: number("020 79## ####"),
                        lambda: number("07700 9#####"),
                        lambda: number("+49 30 90####"),
                        lambda: number("030 90####"),
                        lambda: number("+49 151 2#######"),
                        lambda: number("+33 6 12 ## ## ##"),
                        lambda: number("01 42 ## ## ##"),
                        lambda: number("+34 612 ### ###"),
                        lambda: number("+39 06 698#####"),
                        lambda: number("+31 20 5## ####"),
                        lambda: number("+91 98### #####"),
                    ]
                )()
            case "CREDIT_CARD":
                card = self.any.credit_card_number(choose(["visa16", "mastercard", "amex", "discover", "visa16"]))
                return self.grouped(card)
            case "IBAN":
                iban = self.fake("de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "en_GB").iban()
                return choose([iban, " ".join(iban[at : at + 4] for at in range(0, len(iban), 4))])
            case "US_SSN":
                return self.any.ssn()
            case "IP_ADDRESS":
                return choose([self.any.ipv4, self.any.ipv4, self.any.ipv6, self.any.ipv4_private])()
            case "DATE_OF_BIRTH":
                return self.date(self.day(1936, 2008))
            case "PASSPORT":
                return choose([lambda: self.any.numerify("#########"), lambda: self.text(string.ascii_uppercase, 1) + self.any.numerify("########")])()
            case "AWS_ACCESS_KEY":
                return choose(["AKIA", "ASIA"]) + self.text(string.ascii_uppercase + "234567", 16)
            case "GITHUB_TOKEN":
                return choose(["ghp_", "gho_", "ghs_"]) + self.text(string.ascii_letters + string.digits, 36)
            case "JWT":
                head = choose(["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "eyJhbGciOiJSUzI1NiJ9"])
                return f"{head}.eyJzdWIiOiI{self.base64(20)}.{self.base64(43)}"
            case "PRIVATE_KEY":
                name = choose(["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY"])
                lines = "\n".join(self.text(BASE64, 64) for _ in range(3))
                return f"-----BEGIN {name}-----\n{lines}\n-----END {name}-----"
            case "API_KEY":
                letters = string.ascii_letters + string.digits
                return choose(
                    [
                        lambda: f"sk-proj-{self.text(letters, 74)}T3BlbkFJ{self.text(letters, 74)}",
                        lambda: f"sk-ant-api03-{self.base64(93)}AA",
                        lambda: f"AIza{self.base64(35)}",
                        lambda: f"gsk_{self.text(letters, 52)}",
                    ]
                )()

    def miss(self, kind):
        """What looks like it, and is none by its own rules or by what is said of it."""
        choose = self.random.choice
        number = self.any.numerify
        match kind:
            case "EMAIL":
                name = self.any.user_name()
                return choose([f"@{name}/core@20.1", f"{name}@localhost", f"git@{name}:x", f"{name} (at) example.com"])
            case "PHONE":
                return choose([number("2026-11-25-####"), number("978-3-16-14841#-#"), number("%#.###.###,##"), number("#%-##-#####"), number("4############")])
            case "CREDIT_CARD":
                # A wrong check digit.
                while luhn(digits := "4" + number("#" * choose([15, 15, 17, 10]))):
                    pass
                return self.grouped(digits)
            case "IBAN":
                iban = self.fake("de_DE", "fr_FR").iban()
                # A wrong check digit.
                return iban[:3] + str((int(iban[3]) + 1) % 10) + iban[4:]
            case "US_SSN":
                return choose([number("000-##-####"), number("666-##-####"), number("9##-00-####"), number("123-00-####"), number("123-45-678#9")])
            case "IP_ADDRESS":
                return choose([number("%.%.%.%"), number("10.0.19045.%###"), number("3.%.2"), "std::vec::Vec", number("1%:3%:4%")])
            case "DATE_OF_BIRTH":
                return self.date(self.day(2020, 2026))
            case "PASSPORT":
                return choose([number("########"), self.text(string.ascii_uppercase, 2) + number("####"), self.text(string.ascii_uppercase, 6)])
            case "AWS_ACCESS_KEY":
                return choose([self.text(string.ascii_uppercase, 20), "AKIA" + self.text(string.ascii_lowercase, 16), "AKIA" + self.text(string.ascii_uppercase, 9)])
            case "GITHUB_TOKEN":
                return choose(["ghp_" + self.text(string.ascii_lowercase, 9), "gh_" + self.text(string.ascii_letters, 36)])
            case "JWT":
                return choose(["eyJhbGciOiJIUzI1NiJ9", f"eyJ.{self.base64(9)}.com", f"{self.base64(20)}.{self.base64(20)}.{self.base64(20)}"])
            case "PRIVATE_KEY":
                name = choose(["CERTIFICATE", "PUBLIC KEY", "CERTIFICATE REQUEST"])
                return f"-----BEGIN {name}-----\n{self.text(BASE64, 64)}\n-----END {name}-----"
            case "API_KEY":
                return choose([f"sk-{self.text(string.ascii_lowercase, 6)}", f"gsk_{self.text(string.ascii_lowercase, 8)}", "AIza-is-a-prefix"])


def own(maker):
    for place, part in enumerate(["english", "others"]):
        for kind in SENTENCES:
            sentences, others = SENTENCES[kind][place], OTHER[kind][place]
            for number in range(VALUES):
                sentence, value = sentences[number % len(sentences)], maker.value(kind)
                before = sentence.split("{}")[0].replace("{{", "{").replace("}}", "}")
                yield {"part": part, "text": sentence.format(value), "values": [[kind, len(before), len(before) + len(value)]]}
            for number in range(MISSES):
                yield {"part": part, "text": others[number % len(others)].format(maker.miss(kind)), "values": []}


# The placeholders of the templates that are values of a detector; the others are Faker's, and labelled as nothing.
LABELS = {"email": EMAIL, "phone_number": PHONE, "credit_card_number": CARD, "iban": IBAN, "ssn": SSN, "ip_address": IP, "date_of_birth": BIRTH}
DAYS = {"date_of_birth": "%Y-%m-%d", "date_time": "%Y-%m-%d", "day_of_week": "%A", "year": "%Y"}
PROVIDERS = {
    "address": "address",
    "age": "random_digit_not_null",
    "city": "city",
    "country": "country",
    "ip_address": "ipv4",
    "organization": "company",
    "person": "name",
}


def templates(maker):
    # Found and not imported: it wants pandas and much else that the templates do not need.
    [folder] = find_spec("presidio_evaluator").submodule_search_locations
    lines = (Path(folder) / "data_generator/raw_data/templates.txt").read_bytes().decode("utf-8", "replace").splitlines()
    for template in lines:
        for _ in range(10):
            text, values, last = "", [], 0
            for found in re.finditer(r"\{\{(\w+)\}\}", template):
                name = found[1]
                if name in DAYS:
                    value = maker.day(1970, 2026).strftime(DAYS[name])
                else:
                    provider = getattr(maker.any, PROVIDERS.get(name, name), None) or maker.any.word
                    value = str(provider())
                text += template[last : found.start()]
                if name in LABELS:
                    values.append([LABELS[name], len(text), len(text) + len(value)])
                text += value
                last = found.end()
            yield {"part": "templates", "text": text + template[last:], "values": values}


def corpus():
    maker = Maker()
    yield from own(maker)
    yield from templates(maker)
