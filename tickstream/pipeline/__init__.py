"""Pure stages between the sessions and the outputs: batches in, batches out, time from the events themselves."""
