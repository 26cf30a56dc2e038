package vault

import "errors"

func openHashiCorp(Config, Options) (asked, error) { return nil, errors.New("open hashicorp: not yet") }
