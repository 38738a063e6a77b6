/** Receives webhooks, and prints each event: node receive.js PORT. WEBHOOK_SECRET is what `webhooks add` printed (whsec_…). */

import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';

const webhook = new Webhook(process.env.WEBHOOK_SECRET ?? '');

createServer(async (request, response) => {
  try {
    const event = webhook.verify(await buffer(request), request.headers as Record<string, string>) as Record<string, string>;
    // What must not be lost is kept before the answer. An event may come twice, with the same EventID.
    console.log(event.EventID, event.EventType, event.CustomerID);
    response.writeHead(204).end();
  } catch (error) {
    response.writeHead(error instanceof WebhookVerificationError ? 401 : 500).end();
  }
}).listen(Number(process.argv[2]), '127.0.0.1');
