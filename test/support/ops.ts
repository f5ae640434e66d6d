import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';

const ops = path.join(import.meta.dirname, '../../ops');

/** A rule of `ops/alerts.yaml`. */
export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The rules for Prometheus. */
export function alertRules(): AlertRule[] {
  const { groups } = parse(readFileSync(path.join(ops, 'alerts.yaml'), 'utf8')) as {
    groups: readonly { readonly rules: AlertRule[] }[];
  };
  return groups.flatMap(({ rules }) => rules);
}

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

/** Every expression of the dashboard, with the panel that it stands in. */
export function dashboardExpressions(): { readonly where: string; readonly expr: string }[] {
  const { panels } = JSON.parse(readFileSync(path.join(ops, 'grafana-dashboard.json'), 'utf8')) as {
    panels: readonly Panel[];
  };
  return panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ where: title, expr })));
}

/** A metric in an expression, and the labels that the expression asks of it. */
export interface AskedMetric {
  readonly name: string;
  readonly labels: readonly string[];
}

/**
 * The metrics that an expression names. What it groups by must be labels of all of them, but for those that Prometheus
 * itself gives to each target, and what `label_replace` makes of another label.
 */
export function metricsOf(expr: string): AskedMetric[] {
  const given = new Set(['instance', 'job']);
  return Array.from(
    expr.matchAll(
      /\b((?:keystride|temporal)_[a-z_]+)(?:\{([^}]*)\})?(?:, "(?<made>\w+)", "[^"]*", "(?<of>\w+)")?/gu,
    ),
    ([, name = '', matchers = '', made, of]) => {
      const matched = Array.from(matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/gu), ([, label = '']) => label);
      const grouped = Array.from(expr.matchAll(/\bby \(([^)]*)\)/gu), ([, list = '']) => list.split(/,\s*/u));
      const labels = new Set([...matched, ...grouped.flat(), ...(of === undefined ? [] : [of])]);
      if (made !== undefined) labels.delete(made);
      return { name, labels: [...labels].filter((label) => !given.has(label)) };
    },
  );
}
