import type { AnnotationQuery, Dashboard, DataQuery } from "@grafana/schema";

// What a type of Grafana's is in JSON: TypeScript takes no text for an enum, even one of its own texts.
export type Plain<T> = unknown extends T
  ? T
  : T extends string
    ? `${T}`
    : T extends object
      ? { [Key in keyof T]: Plain<T[Key]> }
      : T;

// Dashboard knows no data source; what that of Prometheus reads of an annotation is added here, by its own source.
interface PrometheusQuery extends DataQuery {
  expr: string;
  range?: boolean;
  instant?: boolean;
  interval?: string;
}

interface PrometheusAnnotation extends AnnotationQuery<PrometheusQuery> {
  expr: string;
  step?: string;
  tagKeys?: string;
  textFormat?: string;
  titleFormat?: string;
}

export interface PrometheusDashboard extends Omit<Dashboard, "annotations"> {
  annotations?: { list?: PrometheusAnnotation[] };
}
