package worker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"crmsync/config"
	"crmsync/internal/codec"
)

// codecToken is the environment variable with the token of the codec server.
const codecToken = "CRMSYNC_CODEC_TOKEN" //nolint:gosec // G101: the name of a variable, not a token

func (a *app) codecCommand() *cobra.Command {
	var listen, origin string
	cmd := &cobra.Command{
		Use:   "codec",
		Short: "Let the Temporal UI show encrypted texts",
		Long: `Where privacy.keys is set, Temporal holds ciphertext only, and its UI shows that.
Codec decrypts for the pages of the UI: run it where your browser reaches it and
paste the endpoint that it prints into the UI, under the glasses at the top right
("Codec Server"). Whoever has the endpoint can decrypt what they can read, so it
holds a token: a new one at each start, or the one in ` + codecToken + `.

It listens on this machine alone unless --listen says otherwise; put TLS in front
of it then.`,
		Example: `  crmsync codec
  crmsync codec --origin https://temporal.example.com
  temporal workflow show -w main/msg_1/sms.received --codec-endpoint http://127.0.0.1:8888/TOKEN`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			return a.codec(cmd.Context(), c, listen, origin)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8888", "the address to listen on")
	cmd.Flags().StringVar(&origin, "origin", "http://localhost:8233", "where the Temporal UI is, as the browser's address line shows it")
	return cmd
}

func (a *app) codec(ctx context.Context, c *config.Config, address, origin string) error {
	if len(c.Privacy.Keys) == 0 {
		return errors.New("privacy.keys is not set: nothing is encrypted, and the Temporal UI shows everything without help")
	}
	ring, err := ringOf(c)
	if err != nil {
		return err
	}
	if origin, err = checkOrigin(origin); err != nil {
		return usageError{err}
	}
	token := os.Getenv(codecToken)
	if token == "" {
		token = rand.Text()
	}
	server, err := listen(address, ring.Handler(origin, token), writeTimeout)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	a.printf("Decrypting for the Temporal UI at %s. Its codec server endpoint is\n\n  http://%s/%s\n\nCtrl-C stops it.\n",
		origin, address, url.PathEscape(token))
	<-ctx.Done()
	shutdown(server)
	return nil
}

// checkOrigin answers the origin of the UI's address, in the form in which
// browsers send it.
func checkOrigin(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("--origin must be the Temporal UI's address, such as http://localhost:8233")
	}
	return u.Scheme + "://" + u.Host, nil
}

// ringOf makes the keys of the configuration ready for use.
func ringOf(c *config.Config) (*codec.Ring, error) {
	ring, err := codec.NewRing(c.Privacy.EncryptionKeys())
	if err != nil {
		return nil, fmt.Errorf("privacy.keys: %w", err)
	}
	return ring, nil
}
