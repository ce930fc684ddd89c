"""What generated people talk about: facts, questions about them, and talk on the same topic that answers nothing."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FILLERS", "HEARSAY", "NAMES", "OPENERS", "TOPICS", "Detail", "Topic"]


@dataclass(frozen=True, slots=True)
class Detail:
    """What a fact is about, in the words of who tells it and in those of who asks without remembering them."""

    told: str
    asked: str


@dataclass(frozen=True, slots=True)
class Topic:
    """One thing to talk about. ``{d}`` stands for the detail, ``{v}`` for the value, ``{n}`` for a name.

    Attributes:
        details: Each is one fact of a person at most.
        values: The answers.
        facts: How it is told.
        questions: How it is asked for; none repeats a fact's wording.
        talk: About the topic, sometimes about a detail, without a value.
    """

    details: tuple[Detail, ...]
    values: tuple[str, ...]
    facts: tuple[str, ...]
    questions: tuple[str, ...]
    talk: tuple[str, ...]


def _details(text: str) -> tuple[Detail, ...]:
    pairs = (line.split(" = ") for line in text.strip().splitlines())
    return tuple(Detail(told.strip(), asked.strip()) for told, asked in pairs)


NAMES = tuple("Amira Bruno Celine Dario Elif Farid Greta Hugo Ines Jonas Keiko Liam Mara Nils Olga Pavel".split())

OPENERS = (
    "Oh, before I forget.",
    "So, news from me.",
    "Don't laugh, {n}.",
    "It's raining here again.",
    "I only have a minute, {n}.",
    "The coffee is ready, finally.",
    "You won't believe this one.",
    "Right, where was I?",
    "Funny that you ask, {n}.",
    "Nothing special today.",
    "My phone died in the middle of it.",
    "Just between us, {n}.",
    "It has been one of those weeks.",
    "I'm writing this on the tram.",
)

HEARSAY = (
    "My uncle called and said: “{f}”",
    "I overheard somebody at the station: “{f}”",
    "In that novel she says: “{f}”",
)
"""A fact of nobody's: it reads like the evidence and is none."""

FILLERS = (
    "Hey {n}, good to hear from you! How was the rest of the week?",
    "That sounds lovely, {n}. I could do with some of that myself.",
    "You always manage to cheer me up, thank you for listening.",
    "Honestly it has been a long day and I only want to sit down.",
    "Tell me more about it when we see each other next time, {n}.",
    "I was just thinking about what you told me the other evening.",
)

TOPICS = (
    Topic(
        _details(
            "the old lighthouse = the tower that guides ships\nthe aquarium = the place with all the fish\n"
            "the volcano = the mountain that spits fire\nthe night market = the stalls that open after dark\n"
            "the castle = the fortress"
        ),
        tuple("Lisbon Kyoto Bergen Naples Valencia Tallinn Cusco Oaxaca Galway Split".split()),
        (
            "We took the train to {v} last month, and {d} was the best part of it.",
            "I'm just back from {v}! We spent a whole day at {d}.",
        ),
        ("Which city did {n} visit to see {d}?", "Where was {n} on holiday, the time with {d}?"),
        (
            "I keep looking at the pictures of {d}, they came out so well.",
            "Packing for a trip is the worst part of travelling, isn't it?",
            "Would you go back and see {d} a second time, {n}?",
        ),
    ),
    Topic(
        _details(
            "my sister's wedding = the family celebration\nthe office party = the evening with colleagues\n"
            "the picnic = the meal outdoors\nmy neighbour's birthday = the party next door\n"
            "the school fair = the event for the pupils"
        ),
        ("lentil soup", "a plum cake", "dumplings", "a mushroom pie", "paella", "ginger biscuits", "stuffed peppers"),
        ("I ended up cooking {v} for {d}, and there was nothing left.", "For {d} I made {v} from my aunt's recipe."),
        ("What food did {n} prepare for {d}?", "What did {n} bring to eat to {d}?"),
        (
            "Everybody asked me for the recipe after {d}.",
            "Cooking for so many people takes more planning than I thought.",
            "Did you enjoy {d}, {n}? I heard the food was great.",
        ),
    ),
    Topic(
        _details(
            "my knee = the joint in the leg\nmy back = the spine\nmy shoulder = the upper arm\n"
            "my wrist = the hand\nmy teeth = the mouth"
        ),
        ("in early spring", "nine weeks ago", "on a Tuesday", "after New Year", "at the end of August", "in October"),
        (
            "The doctor finally had a look at {d} {v}, and it's nothing serious.",
            "They operated on {d} {v}; I can sleep again.",
        ),
        ("When did {n} get medical treatment for {d}?", "When was {n} at a clinic because of {d}?"),
        (
            "Some days {d} still hurts when it's cold outside.",
            "I should move more, all this sitting is no good.",
            "How is your health these days, {n}?",
        ),
    ),
    Topic(
        _details(
            "the bakery = the shop that sells bread\nthe library = the house full of books\n"
            "the bike workshop = the garage for bicycles\nthe animal shelter = the home for stray dogs\n"
            "the radio station = the broadcaster"
        ),
        ("two mornings a week", "every other Saturday", "on Thursday nights", "full time", "during the holidays"),
        ("I've started at {d}, {v}, and my boss is really kind.", "They want me at {d} {v} from now on."),
        ("How often does {n} work at {d}?", "What are the hours of {n}'s job at {d}?"),
        (
            "A friend of mine asked whether {d} is still hiring.",
            "Work has been busy, but I can't complain about the people.",
            "Have you ever worked in a place like {d}, {n}?",
        ),
    ),
    Topic(
        _details(
            "the cello = the big string instrument\nthe trumpet = the brass instrument\n"
            "the drums = the percussion\nthe accordion = the squeezebox\nthe flute = the woodwind"
        ),
        ("Mr. Okafor", "a retired postman", "my cousin Lena", "a student from the conservatory", "Mrs. Varga"),
        ("I'm taking lessons on {d} with {v} now.", "It's {v} who teaches me {d}, with endless patience."),
        ("Who shows {n} how to play {d}?", "Who is the music teacher of {n} for {d}?"),
        (
            "Practising {d} in a flat with thin walls takes courage.",
            "I wish I'd learned to read music as a child.",
            "Do you still have {d} in your cellar, {n}?",
        ),
    ),
    Topic(
        _details(
            "the puppy = the young dog\nthe parrot = the bird that talks\nthe tortoise = the slow reptile\n"
            "the kitten = the little cat\nthe pony = the small horse"
        ),
        tuple("Biscuit Comet Pepper Waffle Juno Maple Ziggy Olive Tango Nutmeg".split()),
        ("We named {d} {v}, the children wouldn't hear of anything else.", "Meet {v}: {d} moved in with us on Friday."),
        ("What is {d} of {n} called?", "What name was given to {d} at {n}'s home?"),
        (
            "The vet says {d} is in good shape for its age.",
            "Animals make so much dirt, and I still love having them.",
            "Could you look after {d} for a weekend, {n}?",
        ),
    ),
    Topic(
        _details(
            "the kitchen = the room for cooking\nthe balcony = the terrace\nthe bathroom = the room with the shower\n"
            "the hallway = the entrance\nthe attic = the space under the roof"
        ),
        ("dark green", "a warm yellow", "pale blue", "terracotta", "plain white", "a soft lilac", "charcoal"),
        ("We painted {d} {v} over the weekend.", "{v} it is: {d} looks like new since yesterday."),
        ("Which colour did {n} choose for {d}?", "What shade are the walls of {d} in {n}'s house?"),
        (
            "There's still sawdust everywhere in {d}.",
            "Renovating always takes twice as long as planned.",
            "What would you do with {d} if it were yours, {n}?",
        ),
    ),
    Topic(
        _details(
            "the marathon = the very long run\nthe regatta = the boat race\nthe chess tournament = the board games\n"
            "the climbing cup = the competition on the wall\nthe quiz night = the evening of trivia"
        ),
        ("third", "seventh", "second", "last but one", "first", "eleventh", "fifth"),
        ("I came {v} in {d}, I still can't believe it!", "Well, {v} place in {d}. Not bad at my age."),
        ("How did {n} rank in {d}?", "What position did {n} finish in at {d}?"),
        (
            "Training for {d} eats up all of my evenings.",
            "Losing is fine as long as everybody had fun.",
            "Will you sign up for {d} next year, {n}?",
        ),
    ),
    Topic(
        _details(
            "the umbrella = the thing against rain\nthe camera = the device for photos\n"
            "the leather jacket = the coat\nthe headphones = the thing to hear music\nthe tent = the roof for camping"
        ),
        ("my grandfather", "a flea market", "Tomas", "the lost property office", "my old flatmate", "a raffle"),
        ("I got {d} from {v}, and I take it everywhere.", "Guess what: {d} came from {v}, and it's as good as new."),
        ("Where does {d} that {n} owns come from?", "How did {n} come by {d}?"),
        (
            "I nearly left {d} on the bus again today.",
            "I own far too many things, I should give some away.",
            "Can I borrow {d} from you for a few days, {n}?",
        ),
    ),
    Topic(
        _details(
            "the tomatoes = the red vegetables\nthe roses = the flowers with thorns\nthe apple tree = the fruit tree\n"
            "the lavender = the purple herb\nthe pumpkins = the orange gourds"
        ),
        ("too much water", "the late frost", "snails", "a fungus", "the neighbour's goat", "the heat in July"),
        ("This year {v} ruined {d}, I could have cried.", "I lost {d} to {v}, after all that work."),
        ("What destroyed {d} in {n}'s garden?", "Why did {n}'s plants not make it, {d} I mean?"),
        (
            "I've read three books about growing {d} by now.",
            "An hour in the garden and my head is clear again.",
            "Do you talk to your plants too, {n}?",
        ),
    ),
)
