package catalog

import "context"

// Queued are all objects that wait for their deletion.
func (s *Service) Queued(ctx context.Context) (map[string]bool, error) {
	return s.deletions.queued(ctx)
}

// Usable refuses, by FailedPrecondition, a catalog that was lost.
func (s *Service) Usable(ctx context.Context) error { return s.usable(ctx) }
