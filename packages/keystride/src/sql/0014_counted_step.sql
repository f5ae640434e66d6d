-- Whether what a step expected to read was counted when it was planned; null where an earlier release has planned it.
alter table keystride.step add column counted boolean;
