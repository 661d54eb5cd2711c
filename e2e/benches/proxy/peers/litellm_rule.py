"""The sidecar's rule over what a call says, as LiteLLM takes one (https://docs.litellm.ai/docs/proxy/call_hooks)."""

from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger


class Rule(CustomLogger):
    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        if data.get("max_tokens", 0) > 2000 or len(data.get("tools") or ()) >= 8:
            raise HTTPException(status_code=403, detail="no rule allows it")
        return data


rule = Rule()
