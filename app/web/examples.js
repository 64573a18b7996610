// Texts to try, written for this page: none is from the data that the models learned from.

const WRITTEN = {
  sentiment: {
    labels: ["negative", "positive"],
    texts: [
      ["Changes its mind", "For the first half hour I was sure I had wasted my evening. The jokes fall flat, the camera never sits still, and the hero is a bore. Then the two sisters meet at the station, and the film wakes up. From there on it is funny, tender and beautifully acted, and the last scene is one of the best I have seen in years."],
      ["Clear blame", "The plot makes no sense, the acting is wooden and the ending is an insult. I kept hoping for one good scene. There is none. Avoid it."],
      ["Hard to say", "The costumes are lovely and the music is too loud. Some will like it. I looked at my watch twice, and I laughed three times."],
      ["A negation", "This is not a good film."],
      ["Unknown words", "Zorblatt snorfles the quindlewap; frabbit molumbo, trell und wibbledrome. Great krimble."],
      ["In German", "Ein großartiger Film mit wunderbaren Schauspielern. Ich habe gelacht und geweint und würde ihn sofort wieder sehen."],
    ],
  },
  topic: {
    labels: ["earn", "acq", "crude"],
    texts: [
      ["Earnings", "Harbour Lane Bakeries Inc said net profit for the third quarter rose to 4.1 mln dlrs, or 52 cts a share, from 3.3 mln, or 41 cts, a year ago. Sales rose to 61.2 mln dlrs. It declared a quarterly dividend of 12 cts."],
      ["Oil", "Crude oil prices fell for a third day after two producers said they would raise output above their quotas. North Sea crude for May delivery traded at 17.60 dlrs a barrel, down 25 cents, dealers said."],
      ["Hard to say", "The ministers met for two days and talked about the harvest, the tanker strike and the price of money. They agreed to meet again in May."],
      ["Made-up names", "Quorbex AG and Zylofane Labs signed a letter of intent to merge their snorfing units."],
      ["In French", "La banque centrale a relevé ses taux d'intérêt d'un quart de point pour soutenir la monnaie nationale."],
    ],
  },
};

/** Names and texts for a task; for one that these were not written for, the texts that its own description has. */
export function findExamples(task, service) {
  const written = WRITTEN[task.name];
  const labels = new Set(task.labels.map(({ name }) => name));
  if (written?.labels.every((label) => labels.has(label))) return written.texts;
  return service.texts(task.name).map((text, place) => [`Text ${place + 1}`, text]);
}
