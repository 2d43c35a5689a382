"""Notices a record whose text gives orders to the model that reads it.

A fence and a schema keep such a text from changing how other records are answered; nothing keeps a model from doing as
it is told with the record itself. So a record that is noticed here is not shown to a model. It is a matter of a few
phrases that no merchant writes: what is worded otherwise is not noticed, and a false alarm costs a person's look.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_GAP = r"(?:\W+\w+){0,3}\W+"
"""Up to three words in between."""
_REPLY = (
    r"(?:answer|respond|reply|output|return|antworte?\w*|réponds|répondez|responde|rispondi|responda|antwoord"
    r"|odpowiedz)"
)
_PATTERNS = (
    # Forget what you were told: verb ... all / the / previous ... instructions, or "the above".
    rf"\b(?:ignore|disregard|forget|override|bypass){_GAP}(?:above|before|previous|prior|earlier|preceding|instructions?"
    r"|prompts?|rules|everything|context)\b",
    rf"\b(?:ignorier\w*|vergiss|vergesst|missacht\w*|überschreib\w*){_GAP}(?:oben|obige\w*|vorherige\w*|vorige\w*"
    r"|bisherige\w*|anweisung\w*|anleitung\w*|alles|regeln|davor)\b",
    rf"\b(?:ignore[zr]?|oublie[zr]?|ne tiens pas compte){_GAP}(?:dessus|précédent\w*|instructions?|consignes?|règles"
    r"|avant|précède)\b",
    rf"\b(?:ignora\w*|olvid\w+|descart\w+|haz caso omiso){_GAP}(?:anterior\w*|instruccion\w*|previ[ao]s|arriba|reglas"
    r"|todo)\b",
    rf"\b(?:ignora\w*|dimentic\w+|trascura\w*){_GAP}(?:precedent\w*|istruzion\w*|sopra|regole|tutto)\b",
    rf"\b(?:ignor\w+|esque[cç]\w+|desconsider\w+){_GAP}(?:anterior\w*|instruç\w+|acima|regras|tudo)\b",
    rf"\b(?:negeer\w*|vergeet){_GAP}(?:bovenstaande\w*|vorige\w*|eerdere|voorgaande|instructies?|regels|alles)\b",
    rf"\b(?:zignoruj\w*|ignoruj\w*|zapomnij){_GAP}(?:powyższ\w+|poprzedni\w+|wcześniejsz\w+|instrukcj\w+|polece\w+)",
    rf"(?:игнориру\w+|забуд\w+|не обращай){_GAP}(?:выше\w*|предыдущ\w+|инструкци\w+|указани\w+|всё|все)",
    r"(?:忽略|无视|無視|忘记|忘記).{0,8}(?:以上|之前|上面|前面|上述|先前|指示|指令)",
    r"(?:以上|上記|前|これまで)の?.{0,8}(?:指示|命令).{0,4}(?:無視|忘れ)",
    # Answer so: a number, or a category by its number.
    rf"\b{_REPLY}(?:\W+(?:with|mit|par|avec|con|com|met|only|nur|category|kategorie|catégorie|categor[ií]a|categorie"
    r"|index|number|nummer|numéro|número|the|just|is|=)){1,4}\W+(?:\d{1,4}|null)\b",
    rf"\b{_REPLY}\W+(?:\d{{1,4}}|null)\b(?!\s+(?!for|to|and|only|in|every|all|each|für|fuer|pour|para|per)\w)",
    r"\b(?:categor(?:y|ies|ía|ia)|kategorie|catégorie|categorie|kategoria|категория)(?:\W+(?:index|number|nummer|no|nr|id"
    r"|is|ist|est|es|è|é|to)){0,2}\W{0,3}[:=]\W{0,3}\d{1,4}\b",
    r"(?:\bcategory\b|[\"'“]category[\"'”])\W{0,3}(?:index|is|must be|should be|to|as)\W{1,3}\d{1,4}\b",
    r"(?:分类|分類|类别|類別|カテゴリー?).{0,3}[:：=はを为為]\s*\d",
    # Play the prompt: its tags, its roles, its JSON.
    r"<\s*/?\s*(?:data|categories|system|assistant|user|instructions?|prompt)\s*>",
    r"<\|[a-z_]{2,20}\|>|\[/?inst\]|<</?sys>>",
    r"\\u003c\s*/?\s*data",
    r"[\"']answers?[\"']\s*:\s*[\[{]",
    r"^\W*(?:system|assistant|developer)\s*(?:message|prompt)?\s*:",
    r"\b(?:system prompt|new instructions?|neue anweisung\w*|nouvelles instructions|nuevas instrucciones"
    r"|you must (?:answer|respond|classify|categorize|sort)|as an ai\b|jailbreak|prompt injection)\b",
    r"\b(?:classify|categori[sz]e|sort|put|file|mark|label)\W+(?:this|all|every|each|everything|these|the other)\b"
    r"(?:\W+\w+){0,4}\W+(?:as|into|under|to|in)\W+(?:category|index|number|\d)",
)
_ORDER = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS))
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_MAX_QUOTE = 60


def order_in(texts: Iterable[str]) -> str | None:
    """What reads like an order to a model, as a quote of at most 60 characters; None where nothing does."""
    for text in texts:
        plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold()
        if (found := _ORDER.search(plain)) is not None:
            return " ".join(found[0].split())[:_MAX_QUOTE]
    return None
