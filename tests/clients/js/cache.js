// A page shows a list, another program publishes version 2, and a component of the page reads one price.
// Then the page is read again. Prints all that the page showed: node cache.js CLIENT LIST
import { setTimeout as wait } from "node:timers/promises";
import { PAGE, PRICE } from "./documents.js";
import { publish } from "./publisher.js";

const [name, list] = process.argv.slice(2);
const client = await import(`./${name}.js`);

async function until(condition) {
  while (!condition()) await wait(20); // the test has a deadline
}

const shown = [];
client.watch(PAGE, { list }, (data) => shown.push(data.snapshot));
await until(() => shown.length);

await publish(list, ["a", "b"], "2.00");

const read = (await client.query(PRICE, { list })).snapshot;
await client.reread(PAGE, { list });
await until(() => shown.at(-1).version === 2 && shown.at(-1).prices);
console.log(JSON.stringify({ shown, read }));
process.exit();
