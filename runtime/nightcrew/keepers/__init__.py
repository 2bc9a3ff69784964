"""What ticks: scheduler, waker, rescuer, pruner."""
