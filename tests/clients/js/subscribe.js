// Prints each event of a subscription as a line of JSON: node subscribe.js CLIENT LIST
import { PUBLISHED } from "./documents.js";

const [name, list] = process.argv.slice(2);
const client = await import(`./${name}.js`);
client.subscribe(PUBLISHED, { list }, (data) => console.log(JSON.stringify(data)));
