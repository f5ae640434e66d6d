import { html } from 'hono/html';

/**
 * A piece of a page. What a template is given is escaped, whatever it holds; another piece stands as it is. There is no
 * way around that in this room: nothing here imports `raw`.
 */
export type Html = ReturnType<typeof html>;

/** Nothing at all. */
export const nothing: Html = html``;

export { html };
