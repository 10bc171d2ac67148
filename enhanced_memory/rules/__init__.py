"""Pure decisions: functions of their arguments alone, without clock, store or input and output."""
