import pg from 'pg';

/** Settings of a database that nobody of ours would choose, each with two values that PostgreSQL's own is not. */
const settings: Readonly<Record<string, readonly [string, string]>> = {
  DateStyle: ['SQL, DMY', 'German'],
  IntervalStyle: ['sql_standard', 'iso_8601'],
  TimeZone: ['Asia/Kolkata', 'America/St_Johns'],
  timezone_abbreviations: ['India', 'Australia'],
  extra_float_digits: ['-15', '0'],
  bytea_output: ['escape', 'escape'],
  standard_conforming_strings: ['off', 'off'],
  escape_string_warning: ['off', 'on'],
  backslash_quote: ['off', 'on'],
  array_nulls: ['off', 'off'],
  xmloption: ['document', 'document'],
  xmlbinary: ['hex', 'hex'],
  gin_fuzzy_search_limit: ['1', '2'],
  transform_null_equals: ['on', 'on'],
  quote_all_identifiers: ['on', 'on'],
  default_transaction_isolation: ['serializable', 'repeatable read'],
  default_transaction_deferrable: ['on', 'on'],
  synchronous_commit: ['off', 'off'],
  idle_session_timeout: ['60s', '50s'],
  lock_timeout: ['50s', '40s'],
  idle_in_transaction_session_timeout: ['50s', '40s'],
  client_encoding: ['LATIN1', 'WIN1252'],
};

/** Sets everything in a database otherwise than it is, for the connections that are made from now on. */
export async function setOtherwise(url: string, which: 0 | 1): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const name = client.escapeIdentifier(client.database ?? '');
    for (const [setting, values] of Object.entries(settings))
      await client.query(`ALTER DATABASE ${name} SET ${setting} = ${client.escapeLiteral(values[which])}`);
  } finally {
    await client.end();
  }
}
