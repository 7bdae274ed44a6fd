"""Pure decisions: subscriber, plan, tenant rules and device to an application's answer."""
