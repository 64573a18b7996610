"""Writes tickets.csv: letters to the help desk of a shop that does not exist, for docs/own-data.md. The same every time.

python docs/own-data/make_tickets.py
"""

import csv
import random
from pathlib import Path

PLACE = Path(__file__).with_name("tickets.csv")
LETTERS = 116
"""Of each queue, before anything goes wrong with them."""

SLOTS = {
    "product": "kettle|desk lamp|backpack|headset|coffee grinder|rain jacket|office chair|keyboard|toaster|yoga mat|bookshelf|"
    "water bottle|electric blanket|bike light|frying pan|monitor arm".split("|"),
    "amount": "12.90|24.00|39.95|59.00|7.50|129.99|84.20|18.40".split("|"),
    "day": "Monday|Tuesday|Wednesday|Thursday|Friday|the weekend|last week|two weeks ago|the 3rd|the 21st".split("|"),
    "number": [str(number) for number in range(48_100, 49_900, 37)],
    "place": "Leeds|Cork|Bristol|Utrecht|Graz|Lyon|Porto|Malmo".split("|"),
}
"""What stands in a letter where its braces are."""

PROBLEMS = {
    "billing": """I was charged twice for order {number}.
The invoice for {number} says {amount} but my card was debited for more.
Why is there a fee of {amount} on my statement that I never agreed to?
My voucher was accepted at the checkout and the full price was taken anyway.
Could you send me an invoice with our VAT number for order {number}?
The payment failed three times and now I see three pending amounts at my bank.
I cancelled the subscription in {place} and you still took {amount} on {day}.
The price went up between the basket and the payment page.
Please change the billing address on the invoice, our accountant refuses it as it is.
I paid by bank transfer on {day} and the order still says unpaid.
Your receipt shows the wrong tax rate for the {product}.
When will the direct debit for {number} be taken? I need to plan for it.
There are two charges of {amount}, one of them is not mine.
A second reminder came although I settled order {number} weeks ago.
Could the amount be split into three instalments?
The discount for students is missing from my bill.
My company needs the bill in its own name, not in mine.
The gift card with {amount} on it is refused as used up.
Is the deposit of {amount} given back at the end?
You converted the price to another currency and I lost {amount}.
The credit note for {number} was never booked.
Which of your charges on {day} belongs to which order?""",
    "shipping": """My parcel has been in the depot near {place} since {day}.
Order {number} was due on {day} and nothing has come.
The tracking page has not moved for days.
The courier says delivered, but nobody here has seen a parcel.
Can I still change the delivery address of {number}? I am moving to {place}.
You sent half of the order; where is the {product}?
The driver left the box in the rain and it was soaked through.
How long does express delivery to {place} take?
It was handed to a neighbour that I do not have.
Do you ship the {product} to {place}, and what does that take?
The parcel went back to you because the house number was missing.
I was at home all of {day} and the courier claims that nobody answered.
Please leave it at the pick-up point instead, I work until late.
It has been {day} since anything was scanned.
The box was open and the {product} is missing from it.
Could you hold the parcel until {day}? We are away.
The customs office in {place} wants papers that you should have sent.
Where exactly is the locker that you put it in? The code does not work.
I was told to wait for a truck between eight and six, and none came.
Two orders, one street, and only one of them arrived.
The courier wants {amount} before he hands it over.
The estimated day keeps moving by one, every day.""",
    "returns": """The {product} does not fit and I would like to send it back.
I sent the {product} back on {day} and have not heard anything since.
How do I get a return label? There was none in the box.
The {product} arrived broken and I want another one, not my money.
Can I swap the {product} for a larger one?
I changed my mind about order {number}, it is still in its wrapping.
Your courier refused to take the return without a label.
Is it too late to send back a present that was bought in {place} on {day}?
The colour is nothing like the picture, so it is going back.
I returned two things and only one of them has been credited.
Do I have to pay for sending back something that was faulty?
You exchanged the {product} for the very same wrong size.
When will you refund the {product} that I brought back on {day}?
I want to send back only one of the three things in order {number}.
The form on the web does not know the number {number}.
It looks used, as if somebody else had sent it back before.
The replacement has the same fault as the first {product}.
May I bring it to the shop in {place} instead?
The seam of the {product} came apart on the first day, please take it back.
You say that the thirty days are over, but it came late.
I sent it without the lid by mistake, shall I post that after?
I got a {product} that I never ordered.""",
    "account": """I cannot sign in since {day}, it says that my password is wrong.
The mail to reset my password never arrives.
Please delete my account and everything that you know about me.
Somebody else's orders appear in my account.
How do I change the e-mail address that I sign in with?
I have two accounts and would like to have one.
The code for the second step comes to a phone that I no longer have.
I am locked out after three tries.
Please take me off the newsletter, I have unsubscribed twice.
My name is misspelt in the profile and I cannot edit it.
I would like a copy of all personal data you hold.
Can my colleague in {place} have her own login for our company account?
It signs me out every few minutes.
The link to confirm my address says that it has expired.
Why does the site ask for my birthday all of a sudden?
My points from the last years have vanished.
I signed up with the wrong mail address, {place} and all.
Someone has changed my phone number in the profile, it was not me.
The captcha never ends.
Can I see my orders without registering?
My late father's profile should be closed.
I am asked for a customer number that I was never given.""",
    "technical": """The {product} does not switch on any more.
The app closes as soon as I open the basket.
The {product} will not connect to my phone.
Search shows nothing in the newest version of your app.
Since {day} the {product} makes a burning smell when it runs.
The page stays white after I press the button to pay.
The battery of the {product} lasts an hour, not ten.
Which screws do I need for the {product}? The manual leaves that out.
The light on the {product} blinks red and nothing else happens.
Pictures on your site do not load in Firefox.
How do I update the {product}? It asks for a version that I cannot find.
The {product} stopped working after {day}, I reset it twice.
The filter in the shop forgets what I chose when I go back.
Is there a spare lid for the {product}?
The {product} hums so loudly that nobody can sleep.
After the update the buttons are in Dutch.
Nothing can be typed into the field for the house number.
The display of the {product} shows E4.
My {product} smells of plastic even after a week.
The bluetooth drops out whenever I leave the room.
One of the wheels wobbles and cannot be tightened.
The app says no network while everything else works.""",
}
DETAILS = {
    "billing": """My bank confirms it. The amount was {amount}. I can send you the statement. It is the second month in a row.
I use the same card as always. Our accounts department needs this by {day}.""",
    "shipping": """The tracking number ends in {number}. I paid for express. It was meant as a present for {day}.
The neighbours know nothing. The courier's hotline hangs up on me.""",
    "returns": """It was never used. I still have the receipt. The label had the number {number}. It came in a dented box.
I followed the steps on your page.""",
    "account": """I tried another browser too. I have checked the spam folder. It worked until {day}. The address is still the same.
I have been a customer for years.""",
    "technical": """It is brand new. The cable is fine. I have the latest version. It happens every time. I tried another socket.
The manual does not mention it.""",
}
ASIDES = {
    "billing": "The invoice is fine, by the way.|I have paid already, that is not the point.|Money is not what this is about.",
    "shipping": "It came in time, nothing to say against the courier.|The last parcel was late too.|Delivery was quick at least.",
    "returns": "I do not want to send it back.|No, I need no refund.|I would rather keep it than return it.",
    "account": "I wrote from my account too, without an answer.|My password works, thank you.|You have my address in the profile.",
    "technical": "The app is great otherwise.|It works well, this is about something else.|Your site was slow, too.",
}
"""What a letter of another queue may mention."""
VAGUE = """Nothing has happened about {number} since {day}.
I still wait for an answer to my letter of {day}.
Could somebody please look into order {number}?
The {product} again, see my last two messages.
You promised to call me on {day} about the {product}.
This is the third time that I write about {number}.
What is going on with order {number}?
I am not happy with how {number} was handled."""
"""Letters that nobody could sort without what came before."""
OPENERS = (
    "Hello,|Hi there,|Good morning,|Dear team,|Hi,|To whom it may concern,|||||Hello again,|"
    "Sorry to bother you,|I hope you can help."
).split("|")
CLOSERS = (
    "Thanks in advance.|Please get back to me soon.|Regards|Many thanks|What can I do?|This is quite urgent.||||||"
    "I am rather disappointed.|Please call me.|Thank you!|I like the {product} otherwise."
).split("|")


def main() -> None:
    draw = random.Random(26)
    rows = [(_write(queue, draw), queue) for queue in PROBLEMS for _ in range(LETTERS)]
    draw.shuffle(rows)
    rows = _spoil(rows, draw)
    with PLACE.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(("id", "body", "queue"))
        table.writerows((f"T-{number}", body, queue) for number, (body, queue) in enumerate(rows, start=1_001))


def _write(queue: str, draw: random.Random) -> str:
    """An opening, one or two problems, details, now and then another queue's, something else, and an end."""
    problems = draw.sample(PROBLEMS[queue].splitlines(), draw.choice((1, 1, 1, 2)))
    if draw.random() < 0.08:
        problems = draw.sample(VAGUE.splitlines(), 1)
    about = draw.choice([queue, queue, queue, *DETAILS])
    details = draw.sample(DETAILS[about].replace("\n", " ").split(". "), draw.choice((0, 1, 1, 2)))
    middle = [*problems, *(f"{one.strip().rstrip('.')}." for one in details)]
    if draw.random() < 0.4:
        middle.append(draw.choice(ASIDES[draw.choice([other for other in ASIDES if other != queue])].split("|")))
    if draw.random() < 0.3:
        draw.shuffle(middle)
    text = " ".join(filter(None, [draw.choice(OPENERS), *middle, draw.choice(CLOSERS)]))
    for slot, choices in SLOTS.items():
        while f"{{{slot}}}" in text:
            text = text.replace(f"{{{slot}}}", draw.choice(choices), 1)
    return _mistype(text, draw) if draw.random() < 0.15 else text


def _mistype(text: str, draw: random.Random) -> str:
    place = draw.randrange(1, len(text) - 2)
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


def _spoil(rows: list[tuple[str, str]], draw: random.Random) -> list[tuple[str, str]]:
    """What real tables have: rows twice, labels that are missing, rare, in doubt or wrong, rows without a letter."""
    queues = list(PROBLEMS)
    for place in draw.sample(range(len(rows)), 14):  # the wrong queue
        rows[place] = rows[place][0], draw.choice(queues)
    for place in draw.sample(range(len(rows)), 9):
        rows[place] = rows[place][0], ""
    for place in draw.sample(range(len(rows)), 4):
        rows[place] = draw.choice(("", "-", "...")), rows[place][1]
    again = draw.sample([row for row in rows if row[1]], 24)
    rows += again[:14]
    rows += [(f"{text} Sent from my phone", queue) for text, queue in again[14:20]]
    rows += [(text, next(queue for queue in queues if queue != label)) for text, label in again[20:]]
    rows += [
        ("Our lawyer will write to you about the kettle that caught fire.", "legal"),
        ("Which court is responsible for contracts with your shop?", "legal"),
        ("I demand that you stop using my photograph in your catalogue.", "legal"),
        ("Please confirm in writing that the warranty terms were changed.", "legal"),
    ]
    draw.shuffle(rows)
    return rows


if __name__ == "__main__":
    main()
