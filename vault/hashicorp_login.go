package vault

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
)

// standing is a login: a client with its token.
type standing struct {
	client *api.Client
	ours   bool          // the agent got the token by logging in, so the agent revokes it
	life   time.Duration // of the token, when it was got; 0: it does not end
	renews bool
	stop   context.CancelFunc // ends its renewal

	mu   sync.Mutex
	ends time.Time // on the wall clock, if it ends
}

func (s *standing) until(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = t
}

// left is what is left of the token's life; it can be negative.
func (s *standing) left(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ends.Sub(now)
}

func (s *standing) over(now time.Time) bool { return s.life > 0 && s.left(now) <= 0 }

// enter returns the login that there is, unless it is over or is the one that
// was lost; then it logs in. Callers wait for one who is at it.
func (h *hashicorp) enter(ctx context.Context, lost *standing) (s *standing, fresh bool, err error) {
	if err := h.entering.take(ctx); err != nil {
		return nil, false, h.unanswered(ctx, "log in", err)
	}
	defer h.entering.give()
	if s = h.current; s != nil && s != lost && !s.over(h.now()) {
		return s, false, nil
	}
	asked := h.now()
	if s, err = h.logIn(ctx); err != nil {
		return nil, false, err
	}
	if h.current != nil {
		h.current.stop()
	}
	h.current = s
	s.until(asked.Add(s.life))
	renewing, stop := context.WithCancel(context.Background())
	s.stop = stop
	if s.renews && s.life > 0 {
		h.owned.Go(func() { h.renew(renewing, s) })
	}
	return s, true, nil
}

// renew renews a token each time two thirds of its life are over, until stop is
// called or the server gives it no more. Then it ends, and the next use logs in.
// The library's own watcher renews at once, which costs a token of few uses one
// of them, and its requests cannot be called off.
func (h *hashicorp) renew(ctx context.Context, s *standing) {
	for life := s.life; life > 0; {
		due := time.NewTimer(life * 2 / 3)
		select {
		case <-due.C:
		case <-ctx.Done():
			due.Stop()
			return
		}
		asked := h.now()
		answer, err := s.client.Auth().Token().RenewSelfWithContext(ctx, 0)
		switch code := status(err); {
		case code == http.StatusForbidden || code == http.StatusBadRequest:
			return
		case err != nil: // again when two thirds of what is left are over
			if life = s.left(asked); life < time.Second/10 {
				return
			}
		case answer == nil || answer.Auth == nil:
			return
		default: // less than before, where the server lets it live no longer
			life = time.Duration(answer.Auth.LeaseDuration) * time.Second
			s.until(asked.Add(life))
		}
	}
}

// holds asks whether the server still knows the login.
func (h *hashicorp) holds(ctx context.Context, s *standing) (bool, error) {
	_, err := s.client.Auth().Token().LookupSelfWithContext(ctx)
	if status(err) == http.StatusForbidden {
		return false, nil
	}
	return true, h.told(ctx, request{op: "check the login"}, err)
}

// farewell bounds the revocation at Close.
const farewell = 2 * time.Second

// Close revokes the token, if the agent got it by logging in. It ends by itself
// where that fails.
func (h *hashicorp) Close() error {
	h.closing.Do(h.leave)
	return nil
}

func (h *hashicorp) leave() {
	h.entering <- struct{}{} // for good; a login under way is bounded
	s := h.current
	if s == nil {
		return
	}
	s.stop()
	h.owned.Wait()
	if s.ours {
		ctx, cancel := context.WithTimeout(context.Background(), farewell)
		defer cancel()
		_ = s.client.Auth().Token().RevokeSelfWithContext(ctx, "")
	}
}
