"""Runs Presidio over the corpus: python presidio.py. One line of JSON a text: the text, its values, and what Presidio found.

Presidio's models of language are on GitHub and not in a registry, so its recognizers of patterns run over a blank pipeline of spaCy. Those are all
that it has for what Postern detects: the models find names, places, organizations, and more dates. Lemmas are the words in lower case. It is told that
a text is English, as its own server does unless told otherwise. What several recognizers find at one place is settled as its anonymizer does.
"""

import json
import logging

import spacy
import tldextract
from corpus import corpus
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine
from presidio_analyzer.predefined_recognizers import PhoneRecognizer
from presidio_anonymizer import AnonymizerEngine
from presidio_anonymizer.entities import ConflictResolutionStrategy, RecognizerResult

# The list of domains that comes with it: no newer one is fetched.
tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
tldextract.extract = tldextract.tldextract.TLD_EXTRACTOR
logging.disable()

# Of what Presidio finds, what is a detector's of Postern. DATE_TIME is every date, of birth or not.
ENTITIES = {
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "CREDIT_CARD": "CREDIT_CARD",
    "IBAN_CODE": "IBAN",
    "US_SSN": "US_SSN",
    "IP_ADDRESS": "IP_ADDRESS",
    "DATE_TIME": "DATE_OF_BIRTH",
    "US_PASSPORT": "PASSPORT",
}
REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "AU", "IN")


class Blank(NlpEngine):
    """Words, and nothing that a model would know of them."""

    def __init__(self):
        self.pipeline = spacy.blank("en")

    def load(self):
        pass

    def is_loaded(self):
        return True

    def process_text(self, text, language):
        words = self.pipeline(text)
        return NlpArtifacts([], words, [word.idx for word in words], [word.lower_ for word in words], self, language)

    def process_batch(self, texts, language, batch_size=1, n_process=1, **_):
        return ((text, self.process_text(text, language)) for text in texts)

    def is_stopword(self, word, language):
        return self.pipeline.vocab[word].is_stop

    def is_punct(self, word, language):
        return self.pipeline.vocab[word].is_punct

    def get_supported_entities(self):
        return []

    def get_supported_languages(self):
        return ["en"]


def main():
    engine = Blank()
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=engine)
    registry.remove_recognizer("PhoneRecognizer")
    registry.add_recognizer(PhoneRecognizer(supported_regions=REGIONS))
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
    settle = AnonymizerEngine()._remove_conflicts_and_get_text_manipulation_data  # noqa: SLF001, its `anonymize` tells no offsets in the text
    for sample in corpus():
        found = analyzer.analyze(sample["text"], language="en", entities=list(ENTITIES))
        found = [RecognizerResult(one.entity_type, one.start, one.end, one.score) for one in found]
        found = settle(found, ConflictResolutionStrategy.MERGE_SIMILAR_OR_CONTAINED)
        sample["found"] = [[ENTITIES[one.entity_type], one.start, one.end] for one in found]
        print(json.dumps(sample))


main()
